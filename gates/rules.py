"""The literal rules as counts: how many may be slow, how many may fail, and the latency of a sample. Pure."""

import math
from collections.abc import Iterable

from gates.load.samples import Sample, SampleOutcome
from gates.policy import Objectives
from gates.stats import exact, rank
from gates.verdict import ObjectiveName

P95 = 0.95
NANOSECONDS = 1_000_000_000


def slow_allowed(n: int) -> int:
    """P95 ≤ limit is the same as: at most this many of n over the limit."""
    return n - rank(n, P95) if n else -1


def failures_allowed(n: int, limit: float) -> int:
    """Most failures with failures / n strictly under the limit; −1 when none will do."""
    return math.ceil(exact(limit) * n) - 1


def qps_needed(objectives: Objectives) -> float:
    return float(exact(objectives.qps) * exact(objectives.qps_ratio))


def ttft(sample: Sample) -> float:
    """Seconds from the intended send to the first content; infinite for a failure."""
    return _seconds(sample, sample.first_token_ns)


def e2e(sample: Sample) -> float:
    """Seconds from the intended send to the end of the answer; infinite for a failure."""
    return _seconds(sample, sample.end_ns)


CLOCKS = {ObjectiveName.TTFT_P95: ttft, ObjectiveName.E2E_P95: e2e}


def measured(samples: Iterable[Sample]) -> list[Sample]:
    """What counts, by intended send: neither warm-up nor what we cancelled ourselves."""
    kept = [sample for sample in samples if not sample.warmup and sample.outcome != SampleOutcome.CANCELLED_BY_US]
    return sorted(kept, key=lambda sample: (sample.intended_ns, sample.level or 0, sample.index))


def _seconds(sample: Sample, until: int | None) -> float:
    if sample.outcome != SampleOutcome.OK or until is None:
        return math.inf
    return (until - sample.intended_ns) / NANOSECONDS
