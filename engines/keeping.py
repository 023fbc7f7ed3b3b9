"""Keeps a local engine running: starts it again after it ended, later each time it fails soon."""

import asyncio
from collections.abc import Callable
from typing import Protocol

LONGEST_PAUSE = 60.0
STEADY_SECONDS = 60.0  # what ran so long had started well: the next pause is short again


class Startable(Protocol):
    async def start(self) -> None: ...
    async def wait(self) -> int: ...
    async def stop(self, seconds: float) -> int: ...


def pause(failures: int) -> float:
    """Seconds before the next start: 1, 2, 4 and so on, at most a minute."""
    return min(LONGEST_PAUSE, 2.0 ** max(0, failures - 1)) if failures < 10 else LONGEST_PAUSE


async def keep(
    make: Callable[[], Startable],
    *,
    until: asyncio.Event,
    before_stop: Callable[[], object],
    say: Callable[[str], object],
    stop_seconds: float,
    pauses: Callable[[int], float] | None = None,
) -> int:
    """Runs one process after the other until `until` is set; `before_stop` drains the last. Its exit code."""
    loop, failures = asyncio.get_running_loop(), 0
    while True:
        process, began = make(), loop.time()
        await process.start()
        over, ended = asyncio.ensure_future(until.wait()), asyncio.ensure_future(process.wait())
        await asyncio.wait({over, ended}, return_when=asyncio.FIRST_COMPLETED)
        if until.is_set():
            ended.cancel()
            drained = before_stop()
            if asyncio.iscoroutine(drained):
                await drained
            return await process.stop(stop_seconds)
        failures = 1 if loop.time() - began > STEADY_SECONDS else failures + 1
        seconds = (pauses or pause)(failures)
        say(f"The engine ended with code {ended.result()}; it is started again in {seconds:.0f} s.")
        await asyncio.wait({over}, timeout=seconds)
        if until.is_set():
            return ended.result()
        over.cancel()
