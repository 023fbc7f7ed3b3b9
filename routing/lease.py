"""The lease of a canary's weight: what a gateway still believes when nobody renews it. Pure.

A release's canary has traffic only while the controller says that it watches. A gateway takes the time since it last
saw a new stamp by its own monotonic clock, so neither a database that is gone nor a wall clock that jumps keeps a
canary alive.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from routing.table import Member, RouteEntry, Table

# Counted from when a gateway saw the stamp, so the canary is at 0 within 60 s of the controller's last word.
LEASE_SECONDS = 55.0
EXPIRED = "lease"
TRIPPED = "trip"


@dataclass(frozen=True, slots=True)
class Seen:
    """A stamp, and the monotonic second at which it runs out here."""

    stamp: float
    until: float


def follow(
    seen: Mapping[str, Seen], leases: Mapping[str, float], owned: Iterable[str], *, wall: float, clock: float
) -> dict[str, Seen]:
    """What this gateway knows of the leases of `owned` routes. `wall` is Unix seconds, `clock` monotonic ones.

    A route that was just taken over has a whole lease to be renewed in. A stamp that was old when it was first seen
    counts as old: a gateway that starts while nobody watches gives the canary nothing.
    """
    known = {}
    for route in owned:
        stamp = leases.get(route, 0.0)
        before = seen.get(route)
        if before is not None and before.stamp == stamp:
            known[route] = before
            continue
        age = min(max(wall - stamp, 0.0), LEASE_SECONDS) if stamp else 0.0
        known[route] = Seen(stamp, clock + LEASE_SECONDS - age)
    return known


def withheld(seen: Mapping[str, Seen], tripped: Iterable[str], clock: float) -> dict[str, str]:
    """Routes whose canary gets nothing from this gateway, and why."""
    expired = {route: EXPIRED for route, lease in seen.items() if clock >= lease.until}
    return expired | dict.fromkeys(tripped, TRIPPED)


def owned_routes(table: Table) -> list[RouteEntry]:
    return [entry for entry in table.routes.values() if entry.owner]


def effective(table: Table, why: Mapping[str, str]) -> Table:
    """The table with no weight for the canaries of the routes in `why`."""
    if not why:
        return table
    routes = {
        name: replace(entry, members=tuple(_withhold(member, why[name]) for member in entry.members))
        if name in why
        else entry
        for name, entry in table.routes.items()
    }
    return replace(table, routes=routes)


def _withhold(member: Member, why: str) -> Member:
    return replace(member, weight=0, withheld=why) if member.canary and member.weight else member
