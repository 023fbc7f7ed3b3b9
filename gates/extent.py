"""What was measured of one phase: its counted samples in groups, and how far the phase got. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gates.load.samples import Sample
from gates.policy import Phase, Policy
from gates.rules import measured
from gates.verdict import PhaseEnd


class Extent(StrEnum):
    """Only a WHOLE phase can pass. CURTAILED: stopped because it could no longer pass."""

    WHOLE = "whole"
    CURTAILED = "curtailed"
    INCOMPLETE = "incomplete"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Samples judged together. `strata` are the parts (STEP levels) within which clumping is looked for."""

    scope: str
    counted: tuple[Sample, ...]
    strata: tuple[tuple[Sample, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One phase. `samples` hold cancelled ones too, `counted` do not; `why` says what is missing."""

    phase: Phase
    policy: Policy
    extent: Extent
    why: str
    planned: int
    seconds: float
    samples: tuple[Sample, ...]
    counted: tuple[Sample, ...]
    level_seconds: tuple[tuple[int, float], ...]

    @property
    def whole(self) -> bool:
        return self.extent == Extent.WHOLE

    def level(self, level: int) -> tuple[Sample, ...]:
        """Without requests that span two levels."""
        return tuple(sample for sample in self.counted if sample.level == level and not sample.transition)

    def pool(self) -> Group:
        if self.policy.step is None or self.phase != Phase.STEP:
            return Group(scope="phase", counted=self.counted, strata=(self.counted,))
        levels = self.policy.step.levels
        strata = tuple(tuple(sample for sample in self.counted if sample.level == level) for level in levels)
        return Group(scope="pool", counted=self.counted, strata=strata)

    def latency_groups(self) -> list[Group]:
        """STEP is judged on the pool and at its top level: pooling alone would hide a collapse there."""
        if self.policy.step is None or self.phase != Phase.STEP:
            return [self.pool()]
        top = self.policy.step.levels[-1]
        return [self.pool(), Group(scope=f"level {top}", counted=self.level(top), strata=(self.level(top),))]


def read(phase: Phase, policy: Policy, samples: Sequence[Sample], end: PhaseEnd | None) -> Measured:
    """Only samples of the attempt that `end` kept are looked at."""
    own = tuple(
        sample
        for sample in samples
        if sample.phase == phase and end is not None and sample.attempt == end.attempt and not sample.warmup
    )
    extent, why = _extent(phase, own, end)
    spec = None if phase == Phase.STEP else getattr(policy, phase.value)
    return Measured(
        phase=phase,
        policy=policy,
        extent=extent,
        why=why,
        planned=end.planned if end and spec else 0,
        seconds=spec.seconds if spec else end.seconds if end else 0.0,
        samples=own,
        counted=tuple(measured(own)),
        level_seconds=end.level_seconds if end else (),
    )


def ended(end: PhaseEnd | None) -> tuple[Extent, str]:
    """How far the phase got, as its own end says; whether every request has a record only its samples can tell."""
    if end is None:
        return Extent.NOT_RUN, "the phase was not run"
    if end.curtailed:
        return Extent.CURTAILED, f"the phase was stopped early because it could no longer pass ({end.curtailed})"
    if not end.complete:
        return Extent.INCOMPLETE, "the phase did not run to its end"
    return Extent.WHOLE, ""


def _extent(phase: Phase, own: Sequence[Sample], end: PhaseEnd | None) -> tuple[Extent, str]:
    found, why = ended(end)
    if end is not None and found == Extent.WHOLE and phase != Phase.STEP:
        recorded = len({sample.index for sample in own})
        if recorded != end.planned:
            return Extent.INCOMPLETE, f"{len(own):,} of {end.planned:,} planned requests have a record"
    return found, why
