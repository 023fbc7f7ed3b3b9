"""Before a run: can this machine send the plan at twice its rate? At most five seconds against an echo server here.

The echo server shares the generator's loop and core, so a pass leaves room to spare.
"""

import asyncio
from dataclasses import replace

import aiohttp

from engines.adapters import get_adapter
from engines.http import HttpEngineClient
from gates.load.echo import start
from gates.load.generator import run_phase
from gates.load.plan import build
from gates.load.target import EngineTarget
from gates.load.workload import PromptSource
from gates.policy import Mode, OpenLoop, Policy, Spacing
from gates.verdict import GeneratorHealth

SECONDS = 5.0
FACTOR = 2.0
NAME = "self-test"


async def run(
    policy: Policy, *, seed: int, prompts: PromptSource, seconds: float = SECONDS, stop: asyncio.Event | None = None
) -> GeneratorHealth:
    """The generator's health under twice the fastest phase of the policy; `phase` is "self-test"."""
    doubled = faster(policy, seconds)
    plan = build(doubled, seed=seed, prompts=prompts)
    server = await start()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with aiohttp.ClientSession() as session:
            client = HttpEngineClient(get_adapter("custom"), url, session=session, served_model="echo")
            result = await run_phase(
                plan.phases[0],
                policy=doubled,
                prompts=prompts,
                target=EngineTarget(client),
                on_samples=lambda _: None,
                stop=stop,
            )
    finally:
        server.close()
        await server.wait_closed()
    return replace(result.health, phase=NAME)


def faster(policy: Policy, seconds: float) -> Policy:
    """One open-loop phase: the shape of the fastest one at twice its rate. A STEP counts one answer a second each."""
    loops = [spec for spec in (policy.spike, policy.soak) if spec is not None]
    levels = policy.step.levels if policy.step is not None else (1,)
    like = max(loops, key=lambda spec: spec.rate, default=OpenLoop(rate=max(levels), seconds=seconds))
    spacing = Spacing.CONSTANT if not loops else like.spacing
    spike = replace(like, rate=like.rate * FACTOR, seconds=min(seconds, like.seconds), spacing=spacing)
    return replace(policy, name=NAME, step=None, spike=spike, soak=None, mode=Mode.DIAGNOSE, drain_seconds=1)
