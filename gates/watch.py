"""Looks at the engines of a run each second from outside: running, waiting, cache, and whether anybody answers."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.client import EngineFailure
from engines.http import HttpEngineClient

SUMMED = ("running", "waiting", "prefix_hits", "prefix_queries", "steps")
EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """All replicas together: counts are sums, KV use is that of the fullest. None: no replica tells."""

    running: float | None = None
    waiting: float | None = None
    kv_use: float | None = None
    prefix_hits: float | None = None
    prefix_queries: float | None = None
    steps: float | None = None

    @property
    def load(self) -> float | None:
        """Requests inside the engines, running or waiting."""
        known = [value for value in (self.running, self.waiting) if value is not None]
        return sum(known) if known else None


class Watch:
    """`answers` tells whether the target can be reached at all (the gateway, for a route); else the replicas do."""

    def __init__(
        self, clients: Sequence[HttpEngineClient], *, answers: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        self.clients = clients
        self.answers = answers
        self.server = Server()
        self.seen_at = time.monotonic()

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> Server:
        found = await asyncio.gather(*(_metrics(client) for client in self.clients))
        self.server = together([values for values in found if values])
        alive = await self.answers() if self.answers else any(values is not None for values in found)
        if alive:
            self.seen()
        return self.server

    def seen(self) -> None:
        """The target answered something just now."""
        self.seen_at = time.monotonic()

    @property
    def silent_seconds(self) -> float:
        return time.monotonic() - self.seen_at

    async def until_idle(
        self, *, most: float, baseline: float = 0.0, every: float = 0.25
    ) -> tuple[float | None, float]:
        """Wait until no more than `baseline` requests are inside. The last count seen and the seconds it took."""
        begun = time.monotonic()
        load = (await self.look()).load
        while (load is None or load > baseline) and time.monotonic() - begun < most:
            await asyncio.sleep(every)
            load = (await self.look()).load
        return load, time.monotonic() - begun


def together(found: Sequence[dict[str, float]]) -> Server:
    sums: dict[str, Any] = {}
    for name in SUMMED:
        known = [values[name] for values in found if name in values]
        sums[name] = sum(known) if known else None
    return Server(**sums, kv_use=max((values["kv_use"] for values in found if "kv_use" in values), default=None))


async def _metrics(client: HttpEngineClient) -> dict[str, float] | None:
    """What one replica states; empty when it lives but states nothing, None when it does not answer."""
    with contextlib.suppress(EngineFailure):
        return {item.name: item.value for item in await client.metrics() if item.value is not None}
    with contextlib.suppress(EngineFailure):
        await client.get(client.adapter.health_path)
        return {}
    return None
