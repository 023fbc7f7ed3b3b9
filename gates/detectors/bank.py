"""All detectors of one release, fed with its decided requests in the order of their assignment. No clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gates.detectors.events import Event, Objective
from gates.detectors.processes import SKEWS, Attribution, BlockBets, Drift
from gates.detectors.settings import DetectorSettings
from routing.split import BUCKETS


class Alarm(StrEnum):
    """BLAME marks the candidate bad; PROTECT and DRIFT roll back without blaming it; RATIO pauses."""

    BLAME = "blame"
    PROTECT = "protect"
    DRIFT = "drift"
    RATIO = "ratio"


@dataclass(slots=True)
class Counts:
    """Requests and bad ones of one arm, for one objective. `cohort` counts the control cohort of the canary's size."""

    canary: int = 0
    canary_bad: int = 0
    baseline: int = 0
    baseline_bad: int = 0
    cohort: int = 0
    cohort_bad: int = 0

    def add(self, event: Event, *, bad: bool) -> None:
        if event.canary:
            self.canary += 1
            self.canary_bad += bad
            return
        self.baseline += 1
        self.baseline_bad += bad
        if event.bucket >= BUCKETS * (1 - event.share):
            self.cohort += 1
            self.cohort_bad += bad


@dataclass(slots=True)
class Bank:
    """One budget for the whole release: nothing starts anew at a stage.

    Feeding the same events again from the start gives the same state, so a controller that restarts replays them.
    """

    settings: DetectorSettings = field(default_factory=DetectorSettings)
    blame: dict[Objective, Attribution] = field(default_factory=lambda: {name: Attribution() for name in Objective})
    protect: dict[Objective, BlockBets] = field(default_factory=dict)
    drift: dict[Objective, Drift] = field(default_factory=dict)
    ratio: Attribution = field(default_factory=lambda: Attribution(risks=SKEWS))
    counts: dict[Objective, Counts] = field(default_factory=lambda: {name: Counts() for name in Objective})
    _blamed_units: set[tuple[Objective, str]] = field(default_factory=set)
    _units: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name in Objective:
            self.protect.setdefault(name, BlockBets(self.settings.allowed(name)))
            self.drift.setdefault(name, Drift(self.settings.allowed(name)))

    def see(self, event: Event) -> None:
        if event.unit not in self._units:
            self._units.add(event.unit)
            self.ratio.see(canary=event.canary, share=event.share)
        for name, bad in event.bad.items():
            self.counts[name].add(event, bad=bad)
            self._blame(name, event, bad=bad)
            if event.canary:
                self._guard(name, event, bad=bad)

    def _blame(self, name: Objective, event: Event, *, bad: bool) -> None:
        if bad and (name, event.unit) not in self._blamed_units:
            self._blamed_units.add((name, event.unit))
            self.blame[name].see(canary=event.canary, share=event.share)

    def _guard(self, name: Objective, event: Event, *, bad: bool) -> None:
        settings = self.settings
        self.protect[name].see(
            bad=bad, at=event.assigned_at, requests=settings.block_requests, seconds=settings.block_seconds
        )
        if event.share >= 1:
            self.drift[name].see(bad=bad)

    def alarm(self) -> tuple[Alarm, Objective | None] | None:
        """The gravest alarm: blame before protect before drift before the ratio."""
        settings = self.settings
        for name in Objective:
            if self.blame[name].peak >= settings.blame_line(name):
                return Alarm.BLAME, name
        for name in Objective:
            if self.protect[name].peak >= settings.protect_line(name):
                return Alarm.PROTECT, name
        for name in Objective:
            if self.drift[name].peak >= settings.drift_line:
                return Alarm.DRIFT, name
        return (Alarm.RATIO, None) if self.ratio.peak >= settings.ratio_line else None

    def canary_requests(self) -> int:
        return self.counts[Objective.ERRORS].canary

    def summary(self) -> dict[str, Any]:
        """For the page: log10 of each e-value, its line, counts of both arms and of the equal cohort."""
        settings = self.settings
        return {
            "blame": {
                name.value: _bar(self.blame[name].log10, self.blame[name].peak, settings.blame_line(name))
                for name in Objective
            },
            "protect": {
                name.value: _bar(self.protect[name].log10, self.protect[name].peak, settings.protect_line(name))
                for name in Objective
            },
            "drift": {
                name.value: _bar(self.drift[name].log10, self.drift[name].peak, settings.drift_line)
                for name in Objective
            },
            "ratio": _bar(self.ratio.log10, self.ratio.peak, settings.ratio_line),
            "counts": {name.value: _plain(self.counts[name]) for name in Objective},
        }


def _bar(log10: float, peak: float, line: float) -> dict[str, float]:
    return {"log10": round(log10, 3), "peak": round(peak, 3), "line": round(line, 3)}


def _plain(counts: Counts) -> Mapping[str, int]:
    return {name: getattr(counts, name) for name in Counts.__slots__}
