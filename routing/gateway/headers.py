"""What every answer of the gateway says about itself in its headers."""

from typing import TYPE_CHECKING

from routing.gateway import cors

if TYPE_CHECKING:
    from routing.gateway.attempt import Attempt
    from routing.gateway.exchange import Exchange


def headers_for(exchange: "Exchange", attempt: "Attempt | None") -> list[tuple[bytes, bytes]]:
    """Who asked, what was decided and by which rule, and who answered."""
    headers = [(b"x-request-id", exchange.request_id.encode())]
    if exchange.decision is not None or exchange.refusal is not None:
        headers.append((b"x-decision-id", exchange.decision_id.encode()))
    if exchange.decision is not None:
        headers.append((b"x-decision-rule", exchange.decision.rule.value.encode()))
    if attempt is not None:
        headers.append((b"x-chosen-engine", attempt.target.engine.name.encode()))
        if attempt.disabled:
            headers.append((b"x-features-disabled", ", ".join(attempt.disabled).encode()))
    if b"origin" in exchange.headers:
        headers.extend(cors.headers_for(exchange.headers[b"origin"], exchange.snapshot.table.settings))
    return headers
