"""Canaries that this gateway took out by itself, before anybody wrote a line: the outage fast path on live outcomes."""

import logging
import time
from collections.abc import Callable
from typing import Any

from routing.outage import OutageWatch
from routing.outcomes import BLAMELESS, Outcome, Result, Source
from routing.table import RouteEntry, Table

log = logging.getLogger(__name__)

# Saturation blames nobody, a client's own doing neither.
SAYS_NOTHING = BLAMELESS | {Result.SATURATED}

Key = tuple[str, str, int]


class Trips:
    """Per route, owner and epoch: a new epoch starts afresh. `changed` is called at each trip."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._watches: dict[Key, OutageWatch] = {}
        self._trips: dict[Key, dict[str, Any]] = {}

    def see(self, outcome: Outcome, table: Table) -> None:
        """Judged by the first attempt on the assigned arm: a fail-over hides nothing."""
        entry = table.routes.get(outcome.route)
        if entry is None or not entry.owner or outcome.arm is None or outcome.source is not Source.CLIENT:
            return
        first = outcome.first_attempt
        if first is None or first in SAYS_NOTHING:
            return
        key = _key(entry)
        watch = self._watches.setdefault(key, OutageWatch())
        if watch.see(canary=outcome.canary, ok=first is Result.OK):
            reason = f"{watch.failures} failures in a row while the baseline answered"
            log.warning("Canary %s of route %s is out: %s.", outcome.arm, outcome.route, reason)
            self._trips[key] = {
                "route": entry.name, "owner": entry.owner, "epoch": entry.epoch, "engine": outcome.arm,
                "at": time.time(), "reason": reason,
            }  # fmt: skip
            self._changed()

    def routes(self, table: Table) -> list[str]:
        """Routes with a trip that is in force under this table; what belongs to older epochs is forgotten."""
        current = {_key(entry) for entry in table.routes.values() if entry.owner}
        self._trips = {key: trip for key, trip in self._trips.items() if key in current}
        self._watches = {key: watch for key, watch in self._watches.items() if key in current}
        return [key[0] for key in self._trips]

    def report(self) -> list[dict[str, Any]]:
        return list(self._trips.values())


def _key(entry: RouteEntry) -> Key:
    return entry.name, entry.owner, entry.epoch
