"""Follow the published table and health: poll each second, swap whole, keep the last good ones when a door fails."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engines.adapters import get_adapter
from engines.adapters.base import Adapter
from routing.gateway.address import Address, address_of
from routing.gateway.doors import Doors
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
    def __init__(self, doors: Doors, poll_seconds: float) -> None:
        self._doors = doors
        self._poll_seconds = poll_seconds
        self._unsealed: dict[str, str] = {}
        self.snapshot = EMPTY
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

    async def _poll(self, what: str, load: Any) -> bool:
        try:
            snapshot = await asyncio.to_thread(load, self.snapshot)
        except Exception:
            # A door may fail in any way; traffic goes on with the last good snapshot.
            log.exception("The %s could not be loaded; the last good one stays in use.", what)
            return False
        if snapshot is not None:
            self.snapshot = snapshot
        return True

    def _load_table(self, current: Snapshot) -> Snapshot | None:
        body = self._doors.load_table(current.table.version)
        if body is None:
            return None
        table = from_json(body)
        return replace(current, table=table, targets=self._targets(table))

    def _load_health(self, current: Snapshot) -> Snapshot | None:
        body = self._doors.load_health(current.health.sequence)
        return None if body is None else replace(current, health=health_from_json(body))

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
