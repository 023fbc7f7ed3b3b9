"""One clock for all requests: deadlines, silence and departed clients are looked at ten times a second.

A timer per request, or worse per event, would cost more than the events themselves.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routing.gateway.exchange import Exchange

TICK_SECONDS = 0.1


class Watch:
    def __init__(self, loop: asyncio.AbstractEventLoop, each_tick: Callable[[], None]) -> None:
        self._loop = loop
        self._each_tick = each_tick
        self._handle: asyncio.TimerHandle | None = None
        self.active: set[Exchange] = set()

    def start(self) -> None:
        self._handle = self._loop.call_later(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _tick(self) -> None:
        self.start()
        now = monotonic()
        for item in tuple(self.active):
            item.tick(now)
        self._each_tick()
