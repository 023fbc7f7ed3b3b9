"""Exact curtailment: name the objective that a phase can no longer meet, whatever the rest of its requests do.

Only where the number of requests is planned (SPIKE, SOAK): in a STEP level nothing is certain early.
"""

from gates.load.samples import Sample, SampleOutcome
from gates.policy import Mode, Phase, Policy
from gates.rules import CLOCKS, failures_allowed, qps_needed, slow_allowed
from gates.verdict import ObjectiveName


class Curtailment:
    """Counts the samples of one phase as they end, in any order. Constant time for each."""

    def __init__(self, policy: Policy, phase: Phase, planned: int) -> None:
        self.objectives = policy.objectives
        self.planned = planned
        self.armed = policy.mode == Mode.GATE and phase != Phase.STEP and planned > 0
        self.slow = dict.fromkeys(CLOCKS, 0)
        self.failures = 0
        self.soak_seconds = policy.soak.seconds if policy.soak and phase == Phase.SOAK else None

    def see(self, sample: Sample) -> str:
        """The objective that is lost for certain, or nothing. Warm-up and our own cancels do not count."""
        if not self.armed or sample.warmup or sample.outcome == SampleOutcome.CANCELLED_BY_US:
            return ""
        self.failures += sample.failed
        for name, clock in CLOCKS.items():
            self.slow[name] += clock(sample) > getattr(self.objectives, name.value)
        return self._lost()

    def _lost(self) -> str:
        if self.failures > failures_allowed(self.planned, self.objectives.error_rate):
            return ObjectiveName.ERROR_RATE.value
        for name, slow in self.slow.items():
            if slow > slow_allowed(self.planned):
                return name.value
        if self.soak_seconds and (self.planned - self.failures) / self.soak_seconds < qps_needed(self.objectives):
            return ObjectiveName.QPS.value
        return ""
