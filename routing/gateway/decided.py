"""Up to which moment every request of a route is decided and saved: what canary detectors may read in order."""

from dataclasses import replace
from typing import TYPE_CHECKING

from routing.gateway.record import to_outcome
from routing.lease import owned_routes
from routing.outcomes import Result, Source

if TYPE_CHECKING:
    from routing.gateway.exchange import Exchange
    from routing.gateway.hub import Hub


def decided_until(hub: "Hub", now: float) -> dict[str, float]:
    """Route → Unix seconds, for routes that a release owns: nothing assigned before is undecided or unsaved here.

    A request is decided when it ended, or at the E2E limit (then a provisional outcome was saved).
    """
    owned = {entry.name for entry in owned_routes(hub.follower.published)}
    if not owned:
        return {}
    until = dict.fromkeys(owned, now)
    open_ = [
        (item.facts.route, item.accepted_at)
        for item in tuple(hub.watch.active)
        if not item.deadline_noted and item.caller is not None and item.caller.source is Source.CLIENT
    ]
    unsaved = [(outcome.route, outcome.assigned_at) for outcome in hub.recorder.unsaved()]
    for route, at in (*open_, *unsaved):
        # One whose body is still read may turn out to be anybody's.
        for name in (route,) if route else owned:
            if name in until:
                until[name] = min(until[name], at)
    return until


def note_deadline(exchange: "Exchange", now: float) -> None:
    """Whoever judges a canary must not wait for a request that is over its limit: say now that it is. Loop seconds."""
    exchange.deadline_noted = True
    if exchange.caller is None or exchange.decision is None:
        return
    if exchange.snapshot.table.routes[exchange.facts.route].owner:
        outcome = to_outcome(exchange, exchange.caller, now)
        exchange.hub.recorder.add(replace(outcome, result=Result.UNDECIDED))
