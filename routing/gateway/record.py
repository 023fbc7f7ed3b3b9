"""What is kept of a request: its attempts and its outcome, made from the exchange when it ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.client import EngineFailure, FailureKind, Usage
from routing import decision as decisions
from routing.gateway.auth import Caller
from routing.gateway.errors import ApiError
from routing.gateway.facts import client_request_id
from routing.outcomes import Attempt as AttemptRecord
from routing.outcomes import Outcome, Result

if TYPE_CHECKING:
    from routing.gateway.attempt import Attempt
    from routing.gateway.exchange import Exchange

STATUS_CLIENT_GONE = 499
RESULTS = {
    FailureKind.BAD_REQUEST: Result.BAD_REQUEST,
    FailureKind.SATURATED: Result.SATURATED,
    FailureKind.REFUSED: Result.REFUSED,
    FailureKind.RESET: Result.RESET,
    FailureKind.TIMEOUT: Result.TIMEOUT,
    FailureKind.TRUNCATED: Result.TRUNCATED,
}


@dataclass(slots=True)
class Ending:
    """How a request ended, filled in as it goes. Times are loop seconds."""

    error: ApiError | None = None
    cancelled: str = ""
    usage: Usage | None = None
    pieces: int | None = None
    last_content_at: float | None = None

    def answered(self, usage: Usage | None, *, pieces: int | None, last_content_at: float) -> None:
        self.usage = usage
        self.pieces = pieces
        self.last_content_at = last_content_at


def record_attempt(
    attempt: "Attempt", *, base: float, now: float, result: Result | None = None, error: EngineFailure | None = None
) -> AttemptRecord:
    """`base` is when the request was accepted, in loop seconds."""
    if error is not None:
        result = RESULTS.get(error.failure.kind, Result.ENGINE_ERROR)
    content = attempt.content_at
    return AttemptRecord(
        engine=attempt.target.engine.name,
        replica=attempt.target.replica.id,
        result=result or Result.OK,
        started=attempt.started - base,
        first_content=None if content is None else content - base,
        ended=now - base,
        status=attempt.status,
        error="" if error is None else error.failure.message,
    )


def to_outcome(exchange: "Exchange", caller: Caller, now: float) -> Outcome:
    ending, decision, attempts = exchange.ending, exchange.decision, exchange.attempts
    limits = exchange.snapshot.table.settings
    first = attempts[-1].first_content if attempts else None
    elapsed = now - exchange.started
    e2e = None if exchange.reply.ended_at is None else exchange.reply.ended_at - exchange.started
    output, estimated = _output_tokens(ending)
    stated = ending.usage.input_tokens if ending.usage else None
    facts = exchange.facts
    result = _result(exchange)
    return Outcome(
        request_id=exchange.request_id, decision_id=exchange.decision_id, assigned_at=exchange.accepted_at,
        route=facts.route if facts.route in exchange.snapshot.table.routes else "",
        operation=exchange.operation_name or exchange.operation.value, source=caller.source,
        key_id=caller.key.id if caller.key else None,
        stream=exchange.streaming,
        arm=decision.arm if decision else None, canary=decision.canary if decision else False,
        rule=decision.rule.value if decision else "", engine=attempts[-1].engine if attempts else None,
        sticky_bucket=decision.bucket if decision else None, sticky_unit=facts.sticky_unit,
        result=result, first_attempt=attempts[0].result if attempts else None,
        status=STATUS_CLIENT_GONE if ending.cancelled else exchange.reply.status,
        error=ending.cancelled or (ending.error.message if ending.error else ""),
        ttft=first, e2e=e2e if result is Result.OK else None, tpot=_tpot(exchange, first, output),
        input_tokens=facts.input_tokens if stated is None else stated, output_tokens=output,
        cached_tokens=ending.usage.cached_tokens if ending.usage else None,
        tokens_estimated=estimated or (stated is None and facts.tokens_estimated),
        ttft_late=exchange.streaming and (elapsed if first is None else first) > limits.ttft_limit,
        e2e_late=(elapsed if e2e is None else e2e) > limits.e2e_limit,
        attempts=tuple(attempts), decision=_why(exchange),
        table_version=exchange.snapshot.table.version, health_sequence=exchange.snapshot.health.sequence,
    )  # fmt: skip


def _result(exchange: "Exchange") -> Result:
    ending = exchange.ending
    if ending.cancelled:
        return Result.CANCELLED
    if ending.error is None:
        return Result.OK
    if ending.error.status == 500:
        return Result.ENGINE_ERROR  # our own fault: it must count, and no result says so more exactly
    return exchange.attempts[-1].result if exchange.attempts else Result.REJECTED


def _output_tokens(ending: Ending) -> tuple[int | None, bool]:
    """(tokens, estimated): as the engine counts them, else the pieces of content that came."""
    if ending.usage is not None and ending.usage.output_tokens is not None:
        return ending.usage.output_tokens, False
    return ending.pieces, ending.pieces is not None


def _tpot(exchange: "Exchange", first: float | None, output: int | None) -> float | None:
    last = exchange.ending.last_content_at
    if first is None or last is None or output is None or output < 2:
        return None
    return max(last - exchange.started - first, 0.0) / (output - 1)


def _why(exchange: "Exchange") -> dict[str, Any]:
    if exchange.decision is not None:
        found = decisions.to_json(exchange.decision)
    elif exchange.refusal is not None:
        refusal = exchange.refusal
        found = {
            "refused": refusal.code,
            "why": refusal.message,
            "candidates": [decisions.candidate_to_json(item) for item in refusal.candidates],
        }
    elif exchange.ending.error is not None:
        found = {"refused": exchange.ending.error.code, "why": exchange.ending.error.message}
    else:
        found = {}
    stated = client_request_id(exchange.headers)
    if stated:
        found["client_request_id"] = stated
    if exchange.facts.explicit_engine is not None:
        found["explicit_engine"] = exchange.facts.explicit_engine
    return found
