"""The tests themselves, each with the state that its next step needs. Logarithms are natural inside, log10 outside."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LOG10 = math.log(10)

RISKS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Relative risks that the blame test bets on (gates.md §2.4 (3))."""
SKEWS = (1 / 3, 1 / 2, 2 / 3, 4 / 5, 5 / 4, 3 / 2, 2.0, 3.0)
"""Odds of landing on the canary, over those asked for, that the sample-ratio test bets on."""
BETS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.0)
"""λ of the block bets (§2.4 (2)); each is cut to below 1 / p0."""
RATES = (2.0, 4.0, 10.0, 20.0, 40.0, 100.0)
"""Multiples of the allowed share that the watch after the promotion looks for."""


def log_mean(logs: Sequence[float]) -> float:
    """Logarithm of the mean of exp(logs): the average of e-values is an e-value."""
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


@dataclass(slots=True)
class Attribution:
    """Does the arm matter? If not, what is fed is on the canary with probability `share`, whatever the traffic does.

    gates.md §2.4 (3): exact by randomisation. Fed with bad events it blames, fed with all units it checks the split.
    `peak` is the highest log10 so far: an e-process that reached its line has decided, also if it falls again.
    """

    risks: Sequence[float] = RISKS
    logs: list[float] = field(default_factory=list)
    peak: float = 0.0

    def __post_init__(self) -> None:
        self.logs = self.logs or [0.0] * len(self.risks)

    def see(self, *, canary: bool, share: float) -> None:
        if not 0 < share < 1:
            return  # with one arm nothing can be told apart
        for i, risk in enumerate(self.risks):
            q = risk * share / (risk * share + 1 - share)
            self.logs[i] += math.log(q / share if canary else (1 - q) / (1 - share))
        self.peak = max(self.peak, self.log10)

    @property
    def log10(self) -> float:
        return log_mean(self.logs) / LOG10


@dataclass(slots=True)
class BlockBets:
    """Is the canary's bad share above what the objective allows? Bets on the means of whole blocks.

    gates.md §2.4 (2): blocks, because requests under load come in clumps. λ stays below 1 / p0: nobody loses more than
    is there.
    """

    allowed: float
    logs: list[float] = field(default_factory=lambda: [0.0] * len(BETS))
    count: int = 0
    bad: int = 0
    since: float | None = None
    peak: float = 0.0

    def see(self, *, bad: bool, at: float, requests: int, seconds: float) -> None:
        """`at` is the assignment in Unix seconds; a block has at least `requests` and lasts at least `seconds`."""
        self.since = at if self.since is None else self.since
        self.count += 1
        self.bad += bad
        if self.count < requests or at - self.since < seconds:
            return
        surplus = self.bad / self.count - self.allowed
        for i, bet in enumerate(BETS):
            self.logs[i] += math.log1p(min(bet, 0.99 / self.allowed) * surplus)
        self.count, self.bad, self.since = 0, 0, None
        self.peak = max(self.peak, self.log10)

    @property
    def log10(self) -> float:
        return log_mean(self.logs) / LOG10


@dataclass(slots=True)
class Drift:
    """Did the bad share rise at any moment? Shiryaev-Roberts over a grid of rates; runs as long as one likes.

    gates.md §2.4 (5): at a line A the mean time between false alarms is at least A requests.
    """

    allowed: float
    sums: list[float] = field(default_factory=lambda: [0.0] * len(RATES))
    peak: float = 0.0

    CEILING = 1e300

    def see(self, *, bad: bool) -> None:
        for i, multiple in enumerate(RATES):
            rate = min(multiple * self.allowed, 0.95)
            ratio = rate / self.allowed if bad else (1 - rate) / (1 - self.allowed)
            self.sums[i] = min((self.sums[i] + 1 / len(RATES)) * ratio, self.CEILING)
        self.peak = max(self.peak, self.log10)

    @property
    def log10(self) -> float:
        return math.log10(max(sum(self.sums), 1e-300))
