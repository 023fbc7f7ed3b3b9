"""Tumbling windows of SOAK on the intended send: met, missed or undetermined by their latencies. Pure.

Errors are not judged per window: at 120 requests a single one is already over 0.5 %. Failures still count as slow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gates.load.samples import Sample, SampleOutcome
from gates.policy import Policy
from gates.rules import CLOCKS, NANOSECONDS, P95, measured
from gates.stats import nearest_rank
from gates.verdict import ObjectiveName

COVERAGE = 0.8


class WindowState(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """P95s in seconds; None without samples, infinite when failures reach the rank."""

    start: float
    n: int
    ttft_p95: float | None
    e2e_p95: float | None
    state: WindowState


def strip(samples: Sequence[Sample], policy: Policy, *, cut: bool = False) -> list[Window]:
    """All planned windows of SOAK. With `cut` the load stopped early: a window not sent in full is undetermined."""
    if policy.soak is None:
        return []
    number = math.ceil(policy.soak.seconds / policy.window_seconds)
    groups: list[list[Sample]] = [[] for _ in range(number)]
    for sample in samples:
        if not sample.warmup:
            groups[min(place(sample, policy), number - 1)].append(sample)
    last = max((place(sample, policy) for sample in samples), default=0)
    return [
        _window(group, policy, start=at * policy.window_seconds, partial=cut and (at >= last or _cancelled(group)))
        for at, group in enumerate(groups)
    ]


def place(sample: Sample, policy: Policy) -> int:
    return int(sample.intended_ns // (policy.window_seconds * NANOSECONDS))


def _cancelled(group: Sequence[Sample]) -> bool:
    return any(sample.outcome == SampleOutcome.CANCELLED_BY_US for sample in group)


def _window(group: Sequence[Sample], policy: Policy, *, start: float, partial: bool) -> Window:
    counted = measured(group)
    p95 = {
        name: nearest_rank([clock(sample) for sample in counted], P95) if counted else None
        for name, clock in CLOCKS.items()
    }
    met = all(value is not None and value <= getattr(policy.objectives, name.value) for name, value in p95.items())
    state = WindowState.MET if met else WindowState.MISSED
    if partial or len(counted) < policy.window_minimum:
        state = WindowState.UNDETERMINED
    return Window(
        start=start,
        n=len(counted),
        ttft_p95=p95[ObjectiveName.TTFT_P95],
        e2e_p95=p95[ObjectiveName.E2E_P95],
        state=state,
    )
