"""Waiting until an engine has nothing to do, by its own counts of running and waiting requests."""

import asyncio
from collections.abc import Callable

from engines.client import EngineFailure
from engines.http import HttpEngineClient

# Gateways follow the routing table each second: before that, an empty engine may get one more request.
SETTLE_SECONDS = 3.0
LOOK_SECONDS = 0.5
LOOKS = 2


async def wait_idle(
    client: HttpEngineClient,
    *,
    seconds: float,
    settle: float | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> bool:
    """True once it was idle twice in a row; False when time ran out, or it does not answer."""
    loop = asyncio.get_running_loop()
    deadline, empty = loop.time() + seconds, 0
    await asyncio.sleep(min(SETTLE_SECONDS if settle is None else settle, seconds))
    while empty < LOOKS:
        left = await busy(client)
        if left is None:
            return False
        empty = empty + 1 if left == 0 else 0
        if loop.time() > deadline:
            say(f"{left:.0f} requests are still under way.")
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


async def busy(client: HttpEngineClient) -> float | None:
    """Requests that run or wait; None when it cannot be asked, or does not say."""
    try:
        found = {item.name: item.value for item in await client.metrics()}
    except EngineFailure:
        return None
    counts = [found.get("running"), found.get("waiting")]
    return None if counts[0] is None else sum(count for count in counts if count is not None)
