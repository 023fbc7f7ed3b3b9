"""Follow the published table and health: poll each second, swap whole, keep the last good ones when a door fails."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from engines.adapters import get_adapter
from engines.adapters.base import Adapter
from routing.gateway.address import Address, address_of
from routing.gateway.doors import Doors
from routing.lease import Seen, effective, follow, owned_routes, withheld
from routing.table import EngineEntry, Health, ReplicaEntry, Table, from_json, health_from_json

log = logging.getLogger(__name__)

REQUEST_ID = "@REQUEST-ID@"


@dataclass(frozen=True, slots=True)
class Target:
    """One replica ready to be called: everything about it that no request changes."""

    engine: EngineEntry
    replica: ReplicaEntry
    adapter: Adapter
    address: Address
    api_key: str | None = field(repr=False)
    heads: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def request(self, path: str, body: bytes, request_id: bytes, extra: bytes = b"") -> bytes:
        """A whole HTTP/1.1 POST. `extra` is further header lines, each with its line end."""
        head = self.heads.get(path)
        if head is None:
            head = self.heads[path] = self._head(path)
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (
            head.replace(REQUEST_ID.encode(), request_id),
            extra,
            len(body),
            body,
        )

    def _head(self, path: str) -> bytes:
        headers = {"host": self.address.authority, "content-type": "application/json", "accept-encoding": "identity"}
        own = self.adapter.headers(api_key=self.api_key, request_id=REQUEST_ID)
        headers.update({name.lower(): value for name, value in own.items()})
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "content-length")
        return f"POST {self.address.base_path}{path} HTTP/1.1\r\n{lines}".encode("latin-1")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent view of the world. Requests keep the one they started with."""

    table: Table
    health: Health
    targets: Mapping[int, Target]


EMPTY = Snapshot(Table(version=0), Health(sequence=0, at=0.0), {})


class Follower:
    """`snapshot` is what requests go by: the published table without the canaries that this gateway withholds."""

    def __init__(self, doors: Doors, poll_seconds: float) -> None:
        self._doors = doors
        self._poll_seconds = poll_seconds
        self._unsealed: dict[str, str] = {}
        self.snapshot = EMPTY
        self.published = EMPTY.table
        self.withheld: dict[str, str] = {}  # route → why its canary gets nothing here
        self.tripped: Callable[[Table], list[str]] = lambda _table: []
        self.polled: Callable[[Table], None] = lambda _table: None
        self._leases: dict[str, Seen] = {}
        self.table_seen_at: float | None = None  # monotonic seconds of the last poll that succeeded
        self.health_seen_at: float | None = None

    async def run(self) -> None:
        while True:
            await self.poll()
            await asyncio.sleep(self._poll_seconds)

    async def poll(self) -> None:
        if await self._poll("table", self._load_table):
            self.table_seen_at = time.monotonic()
        if await self._poll("health", self._load_health):
            self.health_seen_at = time.monotonic()
        self.withhold()
        self.polled(self.published)

    def withhold(self) -> None:
        """Canaries whose lease ran out, or that are out, get nothing. Time passes without the database too."""
        table, clock = self.published, time.monotonic()
        owned = [entry.name for entry in owned_routes(table)]
        self._leases = follow(self._leases, self.snapshot.health.leases, owned, wall=time.time(), clock=clock)
        found = withheld(self._leases, self.tripped(table), clock)
        if found != self.withheld:
            log.warning("Canaries without traffic here: %s", found or "none any more")
            self.withheld = found
            self.snapshot = replace(self.snapshot, table=effective(table, found))

    async def _poll(self, what: str, load: Callable[[], Callable[[], None] | None]) -> bool:
        """`load` runs in a thread; what it returns is called here and puts what was loaded in force."""
        try:
            put = await asyncio.to_thread(load)
        except Exception:
            # A door may fail in any way; traffic goes on with the last good snapshot.
            log.exception("The %s could not be loaded; the last good one stays in use.", what)
            return False
        if put is not None:
            put()
        return True

    def _load_table(self) -> Callable[[], None] | None:
        body = self._doors.load_table(self.published.version)
        if body is None:
            return None
        table = from_json(body)
        return partial(self._put_table, table, self._targets(table))

    def _put_table(self, table: Table, targets: Mapping[int, Target]) -> None:
        """What is withheld stays so until the next look, where the owner is still the same."""
        before = {entry.name: (entry.owner, entry.epoch) for entry in owned_routes(self.published)}
        now = {entry.name: (entry.owner, entry.epoch) for entry in owned_routes(table)}
        self.published = table
        self.withheld = {route: why for route, why in self.withheld.items() if now.get(route) == before.get(route)}
        self.snapshot = replace(self.snapshot, table=effective(table, self.withheld), targets=targets)

    def _load_health(self) -> Callable[[], None] | None:
        body = self._doors.load_health(self.snapshot.health.sequence)
        return None if body is None else partial(self._put_health, health_from_json(body))

    def _put_health(self, health: Health) -> None:
        self.snapshot = replace(self.snapshot, health=health)

    def _targets(self, table: Table) -> dict[int, Target]:
        targets = {}
        for engine in table.engines.values():
            for replica in engine.replicas:
                target = self._target(engine, replica)
                if target is not None:
                    targets[replica.id] = target
        return targets

    def _target(self, engine: EngineEntry, replica: ReplicaEntry) -> Target | None:
        try:
            adapter = get_adapter(engine.kind)
            return Target(engine, replica, adapter, address_of(replica.url), self._unseal(replica.sealed_key))
        except Exception:
            # One engine that cannot be used must not keep the table from being followed.
            log.exception("Replica %d of engine %s cannot be used.", replica.id, engine.name)
            return None

    def _unseal(self, ciphertext: str | None) -> str | None:
        if not ciphertext:
            return None
        if ciphertext not in self._unsealed:
            self._unsealed[ciphertext] = self._doors.unseal(ciphertext)
        return self._unsealed[ciphertext]
