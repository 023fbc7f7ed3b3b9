"""Streams that a rolled back canary still runs: counted until they end, and cut when their time is over."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from engines.client import FailureKind
from routing.gateway.upstream import failure
from routing.table import RouteEntry, Table

if TYPE_CHECKING:
    from routing.gateway.exchange import Exchange


class _Drain:
    __slots__ = ("cut", "open", "seen")

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.open: set[str] = set()
        self.cut: set[str] = set()


class Drains:
    """Looked after each time the table is polled."""

    def __init__(self) -> None:
        self._drains: dict[tuple[str, int], _Drain] = {}

    def look(self, table: Table, active: Iterable["Exchange"]) -> None:
        exchanges = tuple(active)
        kept = {}
        for entry in table.routes.values():
            if entry.drain:
                key = (entry.name, int(entry.drain["epoch"]))
                drain = kept[key] = self._drains.get(key) or _Drain()
                _follow(drain, entry, exchanges)
        self._drains = kept

    def report(self) -> dict[str, dict[str, int]]:
        """By route: streams still open, ended by themselves, cut."""
        return {
            route: {
                "epoch": epoch,
                "open": len(drain.open),
                "finished": len(drain.seen - drain.open - drain.cut),
                "cut": len(drain.cut),
            }
            for (route, epoch), drain in self._drains.items()
        }


def _follow(drain: _Drain, entry: RouteEntry, exchanges: tuple["Exchange", ...]) -> None:
    over = time.time() >= float(entry.drain["cut_after"])
    drain.open = set()
    for exchange in exchanges:
        if not _runs_on_canary(exchange, entry):
            continue
        drain.seen.add(exchange.request_id)
        drain.open.add(exchange.request_id)
        attempt = exchange.attempt
        if over and attempt is not None and attempt.connection is not None:
            drain.cut.add(exchange.request_id)
            attempt.connection.interrupt(failure(FailureKind.RESET, "The canary was rolled back."))


def _runs_on_canary(exchange: "Exchange", entry: RouteEntry) -> bool:
    if exchange.facts.route != entry.name or exchange.attempt is None:
        return False
    given: dict[str, Any] = dict(entry.drain)
    begun = exchange.snapshot.table.routes.get(entry.name)
    if begun is None or begun.epoch > int(given["epoch"]):
        return False
    return exchange.attempt.target.engine.name == str(given["engine"])
