"""Rows and tiny policies for tests that execute runs."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from engines.actors import Actor
from engines.models import Engine
from gates.actions import create_policy, create_run
from gates.execute import Generator, Pace
from gates.load.generator import PhaseResult, run_phase
from gates.models import GateRun
from gates.policy import Objectives, OpenLoop, Policy, Step
from gates.verdict import GeneratorHealth

PACE = Pace(silent=2.0, cool=2.0, health_gap=0.01)
OPERATOR = Actor("user", "7", "olga")
TINY = Policy(
    name="tiny",
    step=Step(levels=(1, 2), level_seconds=0.3, level_completions=2, level_cap_seconds=3),
    spike=OpenLoop(rate=10, seconds=1),
    soak=OpenLoop(rate=10, seconds=1.5),
    objectives=Objectives(ttft_p95=1, e2e_p95=2, error_rate=0.05, qps=2, windows_met=0.5),
    warm_up_requests=2,
    warm_up_seconds=5,
    drain_seconds=2,
    request_timeout=5,
    window_seconds=0.5,
    window_minimum=2,
)


def fit(phase: str) -> GeneratorHealth:
    return GeneratorHealth(
        phase=phase, lag_p99=0.0, lag_max=0.0, loop_lag_p99=0.0, achieved_ratio=1.0, cpu_share=0.1, not_sent=0
    )


async def load_on_a_fast_machine(plan: Any, **how: Any) -> PhaseResult:
    """Real load; only what this machine's other work does to the generator's own health is left out."""
    result = await run_phase(plan, **how)
    return PhaseResult(result.end, fit(plan.phase.value))


async def fit_self_test(*_: Any, **__: Any) -> GeneratorHealth:
    return fit("self-test")


GENERATOR = Generator(run_phase=load_on_a_fast_machine, self_test=fit_self_test)


def queue(engine: Engine | str, policy: Policy = TINY, **fields: Any) -> GateRun:
    """A queued run of the policy that no worker was told about."""
    version = create_policy(policy.name, policy, actor=OPERATOR, reason="for the test")
    name = engine if isinstance(engine, str) else engine.name
    return create_run(version, "engine", name, actor=OPERATOR, hand_to_worker=False, seed=7, **fields)


def states(run: GateRun) -> list[str]:
    return list(run.transitions.order_by("pk").values_list("after", flat=True))


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[Callable[[], bool]]:
    """`while waiting():` runs at most so long."""
    until = time.monotonic() + seconds
    yield lambda: time.monotonic() < until
