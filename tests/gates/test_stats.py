"""Ranks, bounds and grades against brute force and published numbers."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from gates import stats
from gates.rules import failures_allowed, slow_allowed
from gates.verdict import Grade

LATENCY = st.one_of(st.floats(0, 60), st.just(math.inf))


@given(st.lists(LATENCY, min_size=1, max_size=80), st.floats(0, 60))
def test_a_p95_within_its_limit_is_a_count_of_the_slow_ones(values: list[float], limit: float) -> None:
    within = stats.nearest_rank(values, 0.95) <= limit
    assert within == (sum(value > limit for value in values) <= slow_allowed(len(values)))


@given(st.lists(LATENCY, min_size=1, max_size=60))
def test_nearest_rank_is_the_smallest_value_that_covers_the_share(values: list[float]) -> None:
    covering = [value for value in values if 100 * sum(other <= value for other in values) >= 95 * len(values)]
    assert stats.nearest_rank(values, 0.95) == min(covering)


@given(st.integers(1, 5000), st.integers(1, 200))
def test_failures_allowed_is_the_last_count_strictly_under_the_limit(n: int, per_mille: int) -> None:
    limit = per_mille / 1000
    allowed = failures_allowed(n, limit)
    assert allowed < 0 or allowed / n < limit
    assert (allowed + 1) / n >= limit


@given(st.integers(0, 400), st.integers(1, 400))
def test_bounds_are_those_of_clopper_and_pearson(k: int, n: int) -> None:
    k = min(k, n)
    if k < n:
        assert stats.upper(k, n) == pytest.approx(beta.ppf(0.95, k + 1, n - k))
        assert binom.cdf(k, n, stats.upper(k, n)) == pytest.approx(0.05, rel=1e-6)
    if k > 0:
        assert stats.lower(k, n) == pytest.approx(beta.ppf(0.05, k, n - k + 1))


@pytest.mark.parametrize(
    ("n", "slow", "failures"),
    [  # the literal rule's last pass, the most that still prove, the fewest that refute
        (30, (1, None, 5), (0, None, 2)),
        (60, (3, 0, 7), (0, None, 2)),
        (120, (6, 1, 11), (0, None, 3)),
        (300, (15, 8, 22), (1, None, 5)),
        (600, (30, 20, 40), (2, 0, 7)),
        (1200, (60, 47, 74), (5, 1, 11)),
        (3600, (180, 158, 203), (17, 10, 26)),
    ],
)
def test_the_table_of_what_each_sample_size_can_show(n: int, slow: tuple[int, ...], failures: tuple[int, ...]) -> None:
    assert (slow_allowed(n), stats.most_proven(n, 0.05), stats.fewest_refuted(n, 0.05)) == slow
    assert (failures_allowed(n, 0.005), stats.most_proven(n, 0.005), stats.fewest_refuted(n, 0.005)) == failures


def test_proof_needs_59_requests_for_a_p95_and_598_for_half_a_percent() -> None:
    assert (stats.floor(0.05), stats.floor(0.005), stats.floor(0.0)) == (59, 598, None)


@pytest.mark.parametrize(
    ("k", "n", "passed", "effect", "expected"),
    [
        (10, 3600, True, 1.0, Grade.PROVEN),
        (11, 3600, True, 1.0, Grade.CONSISTENT),
        (18, 3600, False, 1.0, Grade.DOUBTFUL),
        (26, 3600, False, 1.0, Grade.REFUTED),
        (0, 300, True, 1.0, Grade.THIN),
        (5, 300, False, 1.0, Grade.REFUTED),
        (0, 3600, True, 10.0, Grade.THIN),
        (0, 0, False, 1.0, Grade.THIN),
    ],
)
def test_grades_of_an_error_rate_under_half_a_percent(
    k: int, n: int, passed: bool, effect: float, expected: Grade
) -> None:
    assert stats.grade(k=k, n=n, share=0.005, passed=passed, effect=effect) == expected


@given(st.integers(0, 30), st.integers(50, 2000))
def test_what_is_needed_more_would_prove_and_one_less_would_not(k: int, n: int) -> None:
    more = stats.more_needed(k=k, n=n, share=0.05)
    if more is None:
        assert k / n >= 0.05 or stats.upper(k / n * stats.MOST, stats.MOST) > 0.05
        return
    enough = n + more
    assert stats.upper(k / n * enough, enough) <= 0.05
    assert more == 0 or stats.upper(k / n * (enough - 1), enough - 1) > 0.05


def test_the_design_effect_is_one_for_spread_hits_and_large_for_clumped_ones() -> None:
    spread = [at % 20 == 0 for at in range(1500)]
    clumped = [at < 75 for at in range(1500)]
    assert stats.design_effect(spread) == 1.0
    assert stats.design_effect(clumped) > 20


def test_the_design_effect_stays_near_one_for_independent_hits() -> None:
    source = random.Random(4)
    effects = [stats.design_effect([source.random() < 0.1 for _ in range(3600)], 30) for _ in range(40)]
    assert sum(effects) / len(effects) < 1.3


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        stats.nearest_rank([], 0.95)
