"""Each test against brute force, and its false alarms on healthy traffic with a fixed seed."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.detectors.processes import RISKS, SKEWS, Attribution, BlockBets, Drift

ARMS = st.lists(st.tuples(st.booleans(), st.sampled_from((0.1, 0.5))), max_size=60)


@given(ARMS)
def test_blame_is_the_mean_of_the_likelihood_ratios(events: list[tuple[bool, float]]) -> None:
    test = Attribution()
    products = [1.0] * len(RISKS)
    for canary, share in events:
        test.see(canary=canary, share=share)
        for i, risk in enumerate(RISKS):
            q = risk * share / (risk * share + 1 - share)
            products[i] *= q / share if canary else (1 - q) / (1 - share)
    assert test.log10 == pytest.approx(math.log10(sum(products) / len(products)), abs=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_under_equal_arms_a_step_neither_gains_nor_loses_on_average(share: float) -> None:
    for risks in (RISKS, SKEWS):
        gain = Attribution(risks=risks)
        loss = Attribution(risks=risks)
        gain.see(canary=True, share=share)
        loss.see(canary=False, share=share)
        for up, down in zip(gain.logs, loss.logs, strict=True):
            assert share * math.exp(up) + (1 - share) * math.exp(down) == pytest.approx(1)


def test_four_bad_events_on_a_canary_of_ten_per_cent_are_enough_and_an_equal_cohort_needs_twelve() -> None:
    def needed(share: float) -> int:
        test, count = Attribution(), 0
        while test.log10 < -math.log10(0.002):
            test.see(canary=True, share=share)
            count += 1
        return count

    assert (needed(0.1), needed(0.5)) == (4, 12)


def test_with_everything_on_the_canary_nobody_is_blamed() -> None:
    test = Attribution()
    for _ in range(100):
        test.see(canary=True, share=1.0)
    assert test.log10 == 0.0


def test_equal_arms_raise_fewer_false_alarms_than_the_budget_in_bursts_too() -> None:
    dice, alarms = random.Random(5), 0
    for _ in range(1000):
        test, bad_share = Attribution(), 0.002
        for _ in range(600):
            if dice.random() < 0.02:
                bad_share = dice.choice((0.002, 0.5))
            if dice.random() < bad_share:
                test.see(canary=dice.random() < 0.1, share=0.1)
        alarms += test.peak >= -math.log10(0.005)
    assert alarms / 1000 <= 0.005 + 3 * math.sqrt(0.005 / 1000)


def test_a_block_is_closed_only_when_it_is_long_and_full_enough() -> None:
    test = BlockBets(0.05)
    for second in range(59):
        test.see(bad=True, at=second, requests=60, seconds=60)
    assert test.log10 == 0.0
    test.see(bad=True, at=59, requests=60, seconds=60)
    assert test.log10 == 0.0, "60 requests in 59 s"
    test.see(bad=True, at=60, requests=60, seconds=60)
    assert test.log10 > 0


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_block_bets_are_the_mean_of_products_over_whole_blocks(bad: list[bool]) -> None:
    test = BlockBets(0.05)
    for at, one in enumerate(bad):
        test.see(bad=one, at=at, requests=5, seconds=0)
    blocks = [sum(bad[i : i + 5]) / 5 for i in range(0, len(bad) - 4, 5)]
    bets = [min(bet, 0.99 / 0.05) for bet in (0.5, 1, 2, 4, 8, 14)]
    products = [math.prod(1 + bet * (mean - 0.05) for mean in blocks) for bet in bets]
    assert test.log10 == pytest.approx(math.log10(sum(products) / len(products)), abs=1e-9)


def test_a_canary_that_is_all_bad_is_seen_in_three_blocks_and_one_within_its_objective_is_not() -> None:
    bad, good = BlockBets(0.05), BlockBets(0.05)
    for at in range(180):
        bad.see(bad=True, at=at, requests=60, seconds=0)
        good.see(bad=at % 25 == 0, at=at, requests=60, seconds=0)
    assert bad.log10 > 2.78
    assert good.log10 < 0.5


def test_the_watch_after_promotion_finds_a_change_whenever_it_comes() -> None:
    dice, test = random.Random(3), Drift(0.005)
    for _ in range(5000):
        test.see(bad=dice.random() < 0.002)
    assert test.peak < 5
    needed = 0
    while test.log10 < 5:
        test.see(bad=dice.random() < 0.2)
        needed += 1
    assert needed < 100


def test_the_watch_stays_finite() -> None:
    test = Drift(0.005)
    for _ in range(2000):
        test.see(bad=True)
    assert math.isfinite(test.log10)
