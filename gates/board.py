"""The live figures of a run: one point a second from what the generator counts and the samples it hands on. Pure."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gates.load.generator import Progress
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Objectives
from gates.rules import NANOSECONDS, e2e, failures_allowed, slow_allowed, ttft
from gates.stats import nearest_rank

LOOK_BACK_SECONDS = 10.0


@dataclass(slots=True)
class Board:
    """`now` is monotonic seconds throughout."""

    objectives: Objectives
    progress: Progress = field(default_factory=Progress)
    _last: float = 0.0
    _last_offered: int = 0
    _fresh: list[Sample] = field(default_factory=list)
    _recent: deque[tuple[float, Sample]] = field(default_factory=deque)
    _seen: Counter[str] = field(default_factory=Counter)

    def begin(self, *, now: float) -> Progress:
        """A phase begins with figures of its own; hand the result to the generator."""
        self.progress, self._last, self._last_offered = Progress(), now, 0
        self._fresh, self._recent, self._seen = [], deque(), Counter()
        return self.progress

    def take(self, samples: Iterable[Sample], *, now: float) -> None:
        for sample in samples:
            if sample.warmup or sample.outcome is SampleOutcome.CANCELLED_BY_US:
                continue
            self._fresh.append(sample)
            self._recent.append((now, sample))
            self._seen["all"] += 1
            self._seen["error"] += sample.failed
            self._seen["ttft"] += ttft(sample) > self.objectives.ttft_p95
            self._seen["e2e"] += e2e(sample) > self.objectives.e2e_p95

    def point(self, *, now: float) -> dict[str, Any]:
        """What happened since the last point; latencies over the last 10 s, so that a quiet second draws no gap."""
        progress, passed = self.progress, max(now - self._last, 1e-3)
        while self._recent and self._recent[0][0] < now - LOOK_BACK_SECONDS:
            self._recent.popleft()
        good = [sample for _at, sample in self._recent if sample.outcome is SampleOutcome.OK]
        served = sum(sample.outcome is SampleOutcome.OK for sample in self._fresh)
        body = {
            "phase": progress.phase,
            "level": progress.level,
            "offered": round((progress.offered - self._last_offered) / passed, 2) if progress.phase else None,
            "served": round(served / passed, 2) if progress.phase else None,
            "in_flight": progress.in_flight,
            "ttft_p50": _share(map(ttft, good), 0.5),
            "ttft_p95": _share(map(ttft, good), 0.95),
            "e2e_p50": _share(map(e2e, good), 0.5),
            "e2e_p95": _share(map(e2e, good), 0.95),
            "tpot_p50": _share(map(tpot, good), 0.5),
            "errors": dict(Counter(sample.outcome.value for sample in self._fresh if sample.failed)),
            "verdict_so_far": self.verdict_so_far(),
        }
        self._fresh, self._last, self._last_offered = [], now, progress.offered
        return body

    def verdict_so_far(self) -> str | None:
        """On the objectives that a part of a phase can speak for: passing, or failing with their names."""
        judged = self._seen["all"]
        if not judged:
            return None
        broken = {
            "ttft_p95": self._seen["ttft"] > slow_allowed(judged),
            "e2e_p95": self._seen["e2e"] > slow_allowed(judged),
            "error_rate": self._seen["error"] > failures_allowed(judged, self.objectives.error_rate),
        }
        names = [name for name, bad in broken.items() if bad]
        return f"failing on {', '.join(names)}" if names else "passing"


def tpot(sample: Sample) -> float | None:
    """Seconds per token after the first; None for an answer of at most one token."""
    first, last, tokens = sample.first_token_ns, sample.last_token_ns, sample.output_tokens or 0
    if first is None or last is None or tokens <= 1:
        return None
    return (last - first) / NANOSECONDS / (tokens - 1)


def _share(values: Iterable[float | None], share: float) -> float | None:
    known = [value for value in values if value is not None]
    return nearest_rank(known, share) if known else None
