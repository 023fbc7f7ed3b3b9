"""The statistics of judging: ranks, exact binomial bounds, the design effect, grades. The only module that uses scipy.

scipy.special's incomplete beta is the distribution behind scipy.stats.beta, without its cost per call.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from scipy.special import bdtr, betaincinv, stdtrit  # type: ignore[import-untyped]

from gates.verdict import Grade

CONFIDENCE = 0.95
BLOCKS = 15
FEW = 10  # with fewer exceedances than this, their clumping is estimated at the sample's own P90
BURSTY = 5.0
MOST = 10_000_000


def exact(number: float) -> Fraction:
    """The decimal number that a person typed, not its nearest binary one."""
    return Fraction(repr(number))


def rank(n: int, share: float) -> int:
    """Place of the nearest-rank percentile, from 1."""
    return max(1, math.ceil(exact(share) * n))


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Infinite values are allowed; never interpolates. Raises ValueError for no values."""
    if not values:
        raise ValueError("a percentile of nothing")
    return sorted(values)[rank(len(values), share) - 1]


def upper(k: float, n: float) -> float:
    """One-sided Clopper-Pearson bound: the true share is below it with 95 % confidence."""
    return 1.0 if k >= n else float(betaincinv(k + 1, n - k, CONFIDENCE))


def lower(k: float, n: float) -> float:
    """The true share is above it with 95 % confidence; valid as well when sampling stopped at the k-th hit."""
    return 0.0 if k <= 0 else float(betaincinv(k, n - k + 1, 1 - CONFIDENCE))


def at_most(k: int, n: int, share: float) -> float:
    """Chance of at most k hits in n independent draws."""
    return 0.0 if k < 0 else 1.0 if k >= n else float(bdtr(k, n, share))


def design_effect(hits: Sequence[bool], blocks: int = BLOCKS) -> float:
    """Variance of hits per block over the binomial one, at least 1: by how much n overstates the evidence.

    `hits` are in order of intended send; blocks are equal, a remainder at the end is left out.
    """
    size = len(hits) // blocks
    share = sum(hits[: size * blocks]) / (size * blocks) if size else 0.0
    if size < 2 or not 0 < share < 1:
        return 1.0
    counts = [sum(hits[start : start + size]) for start in range(0, size * blocks, size)]
    mean = sum(counts) / blocks
    variance = sum((count - mean) ** 2 for count in counts) / (blocks - 1)
    return max(1.0, variance / (size * share * (1 - share)))


def latency_design_effect(values: Sequence[float], limit: float, blocks: int = BLOCKS) -> float:
    """At the limit; with few exceedances at the sample's own P90, where there is something to see."""
    slow = [value > limit for value in values]
    if sum(slow) >= FEW or not values:
        return design_effect(slow, blocks)
    own = nearest_rank(values, 0.9)
    return design_effect([value > own for value in values], blocks)


def floor(share: float) -> int | None:
    """Fewest clean requests that prove "true share ≤ share"; None for a share that no sample proves."""
    if not 0 < share < 1:
        return None
    guess = math.log(1 - CONFIDENCE) / math.log1p(-share)
    return next(n for n in range(max(1, int(guess) - 1), int(guess) + 3) if upper(0, n) <= share)


def most_proven(n: int, share: float) -> int | None:
    """Most exceedances in n that still prove the share; None when even none do."""
    return max((k for k in range(int(n * share) + 1) if upper(k, n) <= share), default=None)


def fewest_refuted(n: int, share: float) -> int:
    """Fewest exceedances in n that refute the share (n + 1 when none can)."""
    return next((k for k in range(int(n * share) + 1, n + 1) if lower(k, n) > share), n + 1)


def grade(*, k: int, n: int, share: float, passed: bool, effect: float = 1.0) -> Grade:
    """How strongly k of n speak for "true share ≤ share", n deflated by the design effect."""
    n_effective, k_effective = n / effect, k / effect
    if n and upper(k_effective, n_effective) <= share:
        return Grade.PROVEN
    if n and lower(k_effective, n_effective) > share:
        return Grade.REFUTED
    least = floor(share)
    if least is None or n_effective < least:
        return Grade.THIN
    return Grade.CONSISTENT if passed else Grade.DOUBTFUL


def more_needed(*, k: int, n: int, share: float, effect: float = 1.0) -> int | None:
    """Further requests that would prove the share if they went as these did; None when they would not."""
    observed = k / n if n else 0.0
    if observed >= share or upper(observed * MOST, MOST) > share:
        return None
    low, high = 0, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if upper(observed * middle, middle) <= share else (middle, high)
    return max(0, math.ceil(high * effect) - n)


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Least-squares slope of (x, y) and its one-sided 95 % lower bound by the t-distribution; (0, -inf) for too few."""
    n = len(points)
    middle, level = (sum(point[axis] for point in points) / max(n, 1) for axis in (0, 1))
    spread = sum((x - middle) ** 2 for x, _ in points)
    if n < 4 or spread <= 0:
        return 0.0, -math.inf
    rise = sum((x - middle) * (y - level) for x, y in points) / spread
    left = sum((y - level - rise * (x - middle)) ** 2 for x, y in points)
    return rise, rise - float(stdtrit(n - 2, CONFIDENCE)) * math.sqrt(left / (n - 2) / spread)
