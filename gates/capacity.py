"""Capacity search: which rate to probe next, what a probe shows, and what the search found. Pure (gates.md 2.8).

A probe is an open loop at one rate. Its attainment is the share of requests within every latency objective and
answered; the bounds are one-sided 95 % ones, n deflated by the design effect.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from gates import stats
from gates.load.samples import Sample
from gates.policy import Objectives
from gates.rules import e2e, measured, ttft
from gates.wording import percent

STEADY, SPIKE = 2.0, 5.0  # requests per second of SOAK and SPIKE in the contract
ATTAINMENT = 0.95
TTFT_KEPT = 500  # the slope is taken in the generator's own loop


class State(StrEnum):
    """UNRESOLVED bounds neither side: too few requests, or the generator was not fit to measure."""

    PASS = "pass"  # noqa: S105 - a state, no secret
    FAIL = "fail"
    UNRESOLVED = "unresolved"


class Stop(StrEnum):
    CONVERGED = "converged"
    CAP = "cap"
    FAILS_AT_MINIMUM = "fails_at_minimum"
    UNRESOLVED = "unresolved"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Rates are requests per second."""

    start: float = 1.0
    cap: float = 64.0
    ratio: float = 1.10
    most_probes: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`low` and `high` bound the attainment; `in_flight` is its mean over time, `little` = in flight / (rate × E2E)."""

    rate: float
    state: State
    n: int
    good: int
    failures: int
    low: float
    high: float
    effect: float
    reason: str
    seconds: float = 0.0
    e2e_p95: float | None = None
    in_flight: float | None = None
    little: float | None = None
    saturated: bool = False

    @property
    def attainment(self) -> float | None:
        return self.good / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The capacity lies in [lo, hi]; None: no probe showed that end. Headrooms are lo over the contract's rates."""

    lo: float | None
    hi: float | None
    stop: Stop
    headroom: float | None
    spike_headroom: float | None
    monotone: bool
    sentence: str


def next_rate(search: Search, probes: Sequence[Probe]) -> float | Stop:
    """Double until a probe fails, then halve the bracket in log-rate, around rates that stayed unresolved."""
    if not probes:
        return search.start
    lo, hi = bounds(probes)
    if hi is not None and hi <= search.start:
        return Stop.FAILS_AT_MINIMUM
    if lo is not None and lo >= search.cap:
        return Stop.CAP
    if lo is not None and hi is not None and hi / lo <= search.ratio:
        return Stop.CONVERGED
    wanted = _wanted(search, probes)
    if wanted is None:
        return Stop.UNRESOLVED
    return Stop.BUDGET if len(probes) >= search.most_probes else wanted


def bounds(probes: Sequence[Probe]) -> tuple[float | None, float | None]:
    """The lowest rate that failed, and the highest below it that passed."""
    hi = min((probe.rate for probe in probes if probe.state is State.FAIL), default=None)
    passed = [probe.rate for probe in probes if probe.state is State.PASS]
    return max((rate for rate in passed if hi is None or rate < hi), default=None), hi


def _wanted(search: Search, probes: Sequence[Probe]) -> float | None:
    """None when the gaps that are left beside unresolved rates are narrow enough."""
    lo, hi = bounds(probes)
    highest = max(probe.rate for probe in probes)
    if hi is None and highest < search.cap:
        return min(highest * 2, search.cap)
    open_rates = [
        probe.rate
        for probe in probes
        if probe.state is State.UNRESOLVED and (lo is None or probe.rate > lo) and (hi is None or probe.rate < hi)
    ]
    first, last = min(open_rates, default=hi), max(open_rates, default=lo)
    gaps = [(low, high) for low, high in ((lo, first), (last, hi)) if low is not None and high is not None]
    widest = max(gaps, key=lambda gap: gap[1] / gap[0], default=None)
    return math.sqrt(widest[0] * widest[1]) if widest and widest[1] / widest[0] > search.ratio else None


def found(search: Search, probes: Sequence[Probe], stop: Stop) -> Found:
    lo, hi = bounds(probes)
    straight = monotone(probes)
    return Found(
        lo=lo,
        hi=hi,
        stop=stop,
        headroom=lo / STEADY if lo is not None else None,
        spike_headroom=lo / SPIKE if lo is not None else None,
        monotone=straight,
        sentence=_sentence(search, lo, hi, stop) + ("" if straight else f" {NOT_MONOTONE}"),
    )


def monotone(probes: Sequence[Probe]) -> bool:
    """False when a higher rate was shown to be kept better than a lower one: the search assumes the opposite."""
    ordered = sorted((probe for probe in probes if probe.n), key=lambda probe: probe.rate)
    return all(
        not (later.rate > earlier.rate and later.low > earlier.high)
        for index, earlier in enumerate(ordered)
        for later in ordered[index + 1 :]
    )


NOT_MONOTONE = (
    "A higher rate went better than a lower one, so the interval may be wrong: search again on a quiet machine."
)


def judge(
    rate: float,
    samples: Sequence[Sample],
    objectives: Objectives,
    *,
    breaches: Sequence[str] = (),
    saturated: bool = False,
    seconds: float = 0.0,
    in_flight: float | None = None,
) -> Probe:
    """What one probe shows. `samples` are those after its settling time; ours that were cancelled do not count."""
    own = measured(samples)
    times = [e2e(sample) for sample in own]
    misses = [
        ttft(one) > objectives.ttft_p95 or time > objectives.e2e_p95 for one, time in zip(own, times, strict=True)
    ]
    n, k, failures = len(own), sum(misses), sum(sample.failed for sample in own)
    effect = max(stats.design_effect(misses), _clumping(times, objectives.e2e_p95))
    low, high = _bounds(k, n, effect)
    state, reason = _state(low, high, n, failures, objectives, effect=effect, breaches=breaches, saturated=saturated)
    tail = stats.nearest_rank(times, 0.95) if times else math.inf
    whole = sum(times) / n if times and math.isfinite(sum(times)) else None
    served = (n - failures) / seconds if seconds else None
    return Probe(
        rate=rate, state=state, n=n, good=n - k, failures=failures, low=low, high=high, effect=effect, reason=reason,
        seconds=seconds, e2e_p95=tail if math.isfinite(tail) else None, in_flight=in_flight, saturated=saturated,
        little=in_flight / (served * whole) if in_flight is not None and served and whole else None,
    )  # fmt: skip


def _bounds(k: int, n: int, effect: float) -> tuple[float, float]:
    if not n:
        return 0.0, 1.0
    return 1 - stats.upper(k / effect, n / effect), 1 - stats.lower(k / effect, n / effect)


def _state(
    low: float,
    high: float,
    n: int,
    failures: int,
    objectives: Objectives,
    *,
    effect: float,
    breaches: Sequence[str],
    saturated: bool,
) -> tuple[State, str]:
    if saturated:
        return State.FAIL, "requests pile up: the number in flight and the TTFT kept rising"
    if breaches:
        return State.UNRESOLVED, f"the load generator was not fit: {breaches[0]}"
    if high < ATTAINMENT:
        return State.FAIL, f"attainment is below {percent(ATTAINMENT)}"
    if n and stats.lower(failures, n) > objectives.error_rate:
        return State.FAIL, f"errors are above {percent(objectives.error_rate)}"
    if low < ATTAINMENT:
        return State.UNRESOLVED, f"{n} requests{_weight(effect)} do not decide it"
    if failures >= objectives.error_rate * n:
        return State.UNRESOLVED, f"{failures} of {n} failed: too few to decide on errors"
    return State.PASS, f"attainment is at least {percent(ATTAINMENT)}"


def _weight(effect: float) -> str:
    return f" that came in clumps (design effect {effect:.1f})" if effect >= 2 else ""


def _clumping(times: Sequence[float], limit: float) -> float:
    """Of slow answers; below ten a block the estimate is mostly noise."""
    return stats.latency_design_effect(times, limit) if len(times) >= 10 * stats.BLOCKS else 1.0


class Saturation:
    """Whether requests pile up: in flight rises (t-interval of its slope above 0) and TTFT with it, for so long.

    The rise must also be half of the mean: what is in flight is correlated in time, so small slopes look significant.
    """

    def __init__(self, hold_seconds: float) -> None:
        self.hold_seconds = hold_seconds
        self._load: list[tuple[float, float]] = []
        self._ttft: deque[tuple[float, float]] = deque(maxlen=TTFT_KEPT)
        self._since: float | None = None

    def answered(self, at: float, ttft: float) -> None:
        self._ttft.append((at, ttft))

    def see(self, at: float, in_flight: int) -> bool:
        """Called about twice a second, `at` in seconds since the probe settled."""
        self._load.append((at, float(in_flight)))
        if not self._rising():
            self._since = None
        elif self._since is None:
            self._since = at
        return self._since is not None and at - self._since >= self.hold_seconds

    @property
    def mean(self) -> float | None:
        return sum(y for _, y in self._load) / len(self._load) if self._load else None

    def _rising(self) -> bool:
        _, surely = stats.slope(self._load)
        steeper, _ = stats.slope(tuple(self._ttft))
        span = self._load[-1][0] - self._load[0][0]
        return surely > 0 and steeper > 0 and surely * span >= (self.mean or 0.0) / 2


def _sentence(search: Search, lo: float | None, hi: float | None, stop: Stop) -> str:
    if lo is None and hi is None:
        return "Every probe stayed undecided: probe longer."
    low, high = (f"{rate:.2f}" if rate is not None else "" for rate in (lo, hi))
    held = f"{low} requests per second are held" if lo is not None else "No rate was shown to be held"
    ends = f"{high} are not" if hi is not None else "no rate failed"
    words = {
        Stop.CONVERGED: f"{held}, {ends}: the capacity lies between them.",
        Stop.CAP: f"{held}, which is the most that was asked for: the capacity may be higher.",
        Stop.FAILS_AT_MINIMUM: f"Not even {search.start:g} requests per second are held.",
        Stop.UNRESOLVED: f"{held}, {ends}; what lies between stayed undecided: probe longer.",
        Stop.BUDGET: f"{held}, {ends}; {search.most_probes} probes were not enough to narrow it further.",
    }
    return words[stop]


def to_json(probe: Probe) -> dict[str, Any]:
    return {**asdict(probe), "attainment": probe.attainment}
