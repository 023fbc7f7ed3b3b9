"""The outage fast path: a canary that fails several times in a row while the baseline still answers. Pure.

Source: gates.md §2.4 (6). It needs no statistics: five failures in a row of a canary within its objective of 0.5 % are
a matter of once in 3 × 10^11 runs.
"""

from dataclasses import dataclass

CONSECUTIVE = 5


@dataclass(slots=True)
class OutageWatch:
    """Fed with the ends of split requests as they come; `see` says whether the canary is out."""

    failures: int = 0
    baseline_answers: int = 0
    tripped: bool = False

    def see(self, *, canary: bool, ok: bool) -> bool:
        """True once: at the failure that makes it an outage."""
        if self.tripped:
            return False
        if not canary:
            self.baseline_answers += ok and self.failures > 0
            return False
        if ok:
            self.failures = self.baseline_answers = 0
            return False
        self.failures += 1
        self.tripped = self.failures >= CONSECUTIVE and self.baseline_answers > 0
        return self.tripped
