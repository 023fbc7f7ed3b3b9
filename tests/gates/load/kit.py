"""Small policies and a recording runner for the load tests, over the fake engine on a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp

from engines.adapters import get_adapter
from engines.http import HttpEngineClient
from gates.load.generator import PhaseResult, run_phase
from gates.load.plan import build
from gates.load.samples import Sample
from gates.load.target import EngineTarget
from gates.load.workload import PromptSource
from gates.policy import OpenLoop, Policy, Workload

SPIKE = Policy(
    name="test", step=None, soak=None, spike=OpenLoop(rate=40, seconds=0.5), workload=Workload(output_tokens=5),
    drain_seconds=3, request_timeout=3,
)  # fmt: skip


def prompts_of(policy: Policy, seed: int = 1, shape: Any = ()) -> PromptSource:
    return PromptSource(policy.workload, seed, shape)


@contextlib.asynccontextmanager
async def target_of(url: str) -> AsyncIterator[EngineTarget]:
    async with aiohttp.ClientSession() as session:
        yield EngineTarget(HttpEngineClient(get_adapter("vllm"), url, session=session, served_model="m"))


async def run(policy: Policy, url: str, **extra: Any) -> tuple[PhaseResult, list[Sample]]:
    """The first phase of the policy; its samples in the order of their index."""
    prompts, samples = prompts_of(policy), []
    plan = build(policy, seed=1, prompts=prompts)
    async with target_of(url) as target:
        result = await run_phase(
            plan.phases[0], policy=policy, prompts=prompts, target=target, on_samples=samples.extend, **extra
        )
    return result, sorted(samples, key=lambda sample: sample.index)


def with_changes(policy: Policy, **changes: Any) -> Policy:
    return replace(policy, **changes)


async def until(condition: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
