"""Paired comparison and output equivalence, against scipy, brute force and simulated engines."""

import math
from collections.abc import Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from gates.ladder import Rung, ladder
from gates.pairs import Answered, Pair, Ratio, Word, compare, critical, more_needed, order, overall, ratio, verdict

RATIOS = st.lists(st.floats(-1, 1).map(lambda x: round(x, 6)), min_size=1, max_size=40)


def answered(seconds: float, text: str = "a", **more: object) -> Answered:
    return Answered(**{"text": text, "finish_reason": "stop", "output_tokens": 10, "ttft": seconds / 2, "e2e": seconds,
                       "tpot": seconds / 20, **more})  # fmt: skip


def pairs(count: int, *, slower: float = 1.0, noise: float = 0.05, seed: int = 1, **cand: object) -> list[Pair]:
    random = Random(seed)
    sizes = [random.uniform(1, 3) for _ in range(count)]
    return [
        Pair(i, answered(size * random.lognormvariate(0, noise)),
             answered(size * slower * random.lognormvariate(0, noise), **cand), "base")
        for i, size in enumerate(sizes)
    ]  # fmt: skip


@pytest.mark.parametrize("n", [6, 7, 8, 10, 11])
def test_the_cut_is_exact_by_enumerating_all_signs(n: int) -> None:
    sums = [sum(rank for rank, on in enumerate(signs, 1) if on) for signs in product((0, 1), repeat=n)]
    k = critical(n)
    assert sum(total <= k for total in sums) / 2**n <= 0.025 < sum(total <= k + 1 for total in sums) / 2**n


def test_beyond_the_exact_table_the_cut_goes_on_smoothly() -> None:
    assert 0 < critical(61) - critical(60) < 25


def test_too_few_pairs_have_no_interval() -> None:
    assert critical(5) is None
    found = ratio([0.1] * 5)
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.value == pytest.approx(math.exp(0.1))
    assert ratio([]) == Ratio(n=0, value=None, low=0.0, high=math.inf)


@given(values=st.lists(st.floats(-1, 1), min_size=8, max_size=40, unique=True), shift=st.floats(-0.5, 0.5))
def test_the_interval_holds_what_the_signed_rank_test_does_not_reject(values: Sequence[float], shift: float) -> None:
    shifted = [value - shift for value in values]
    if len({abs(value) for value in shifted}) < len(shifted) or any(abs(value) < 1e-9 for value in shifted):
        return
    found = ratio(values)
    if min(abs(math.exp(shift) / bound - 1) for bound in (found.low, found.high)) < 1e-9:
        return
    inside = found.low <= math.exp(shift) <= found.high
    assert inside == (wilcoxon(shifted, method="exact").pvalue > 0.05)


@given(values=RATIOS)
def test_the_ratio_lies_in_its_interval_and_turns_around_with_the_sides(values: list[float]) -> None:
    found, turned = ratio(values), ratio([-value for value in values])
    assert found.low <= found.value * (1 + 1e-12)
    assert found.value <= found.high * (1 + 1e-12)
    assert turned.value == pytest.approx(1 / found.value)
    if math.isfinite(found.high):
        assert turned.low == pytest.approx(1 / found.high)


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    random = Random(11)
    trials = [ratio([random.gauss(0.2, 0.3) for _ in range(20)]) for _ in range(400)]
    held = sum(one.low <= math.exp(0.2) <= one.high for one in trials)
    assert 0.92 <= held / 400 <= 0.99


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1.01, 1.05, Word.WORSE), (0.8, 0.9, Word.BETTER), (0.95, 1.1, Word.NON_INFERIOR), (0.9, 1.2, Word.UNRESOLVED)],
)
def test_verdicts_follow_the_interval(low: float, high: float, word: Word) -> None:
    assert verdict(Ratio(n=40, value=(low * high) ** 0.5, low=low, high=high)) is word


def test_a_slower_engine_is_worse_a_faster_one_better_an_equal_one_not_inferior() -> None:
    own = pairs(40, seed=2)
    words = [compare("e2e", pairs(40, slower=slower), own).word for slower in (1.3, 0.7, 1.0)]
    assert words == [Word.WORSE, Word.BETTER, Word.NON_INFERIOR]


def test_a_baseline_that_differs_from_itself_decides_nothing() -> None:
    found = compare("e2e", pairs(40, slower=1.5), pairs(40, slower=1.4, seed=2))
    assert found.word is Word.UNRESOLVED
    assert "differs from itself" in found.sentence
    assert compare("e2e", pairs(40), []).word is Word.UNRESOLVED


def test_noise_asks_for_more_prompts_and_about_so_many_then_decide() -> None:
    few = compare("e2e", pairs(20, noise=0.35, seed=3), pairs(20, noise=0.35, seed=2))
    assert few.word is Word.UNRESOLVED
    assert few.more > 0
    assert f"{few.more:,} more" in few.sentence
    assert more_needed(Ratio(n=5, value=1.0, low=0.0, high=math.inf)) is None


def test_one_worse_figure_is_worse_over_all() -> None:
    own = pairs(40, seed=2)
    fast, slow, vague = (compare("e2e", pairs(n, slower=s), own) for n, s in ((40, 0.7), (40, 1.4), (4, 1.0)))
    assert overall([fast, slow, vague]) is Word.WORSE
    assert overall([fast, vague]) is Word.UNRESOLVED
    assert overall([fast, fast]) is Word.BETTER
    assert overall([]) is Word.UNRESOLVED


@given(count=st.integers(1, 100), seed=st.integers(0, 1000))
def test_the_order_is_repeatable_and_on_one_machine_balanced(count: int, seed: int) -> None:
    shared = order(count, seed=seed, shared=True)
    assert shared == order(count, seed=seed, shared=True)
    assert len(shared) == len(order(count, seed=seed, shared=False)) == count
    assert abs(sum(shared) * 2 - count) <= 1
    assert all(a != b for a, b in zip(shared[::2], shared[1::2], strict=False))


def rungs(found: Sequence[Pair], own: Sequence[Pair]) -> list[Rung]:
    return [level.rung for level in ladder(found, own, seed=1)]


def test_the_same_answers_hold_every_rung_that_is_measured() -> None:
    assert rungs(pairs(40), pairs(40)) == [Rung.HOLDS] * 3 + [Rung.NOT_MEASURED] * 2
    assert ladder(pairs(40), pairs(40), seed=1)[3].sentence == "Not measured: no logprobs."


def test_each_rung_breaks_on_its_own() -> None:
    own = pairs(40)
    assert rungs(pairs(40, finish_reason="length"), own)[0] is Rung.BROKEN
    assert rungs(pairs(40, output_tokens=12), own)[1] is Rung.BROKEN
    assert rungs(pairs(40, text="other"), own)[:3] == [Rung.HOLDS, Rung.HOLDS, Rung.BROKEN]
    assert rungs(pairs(40, error="reset", finish_reason=None), own)[0] is Rung.BROKEN
    assert rungs(pairs(10), pairs(10))[2] is Rung.UNRESOLVED


def test_a_baseline_that_does_not_match_itself_excuses_the_candidate() -> None:
    other = pairs(40, text="other")
    assert rungs(other, other)[2] is Rung.HOLDS


def test_without_lengths_or_answers_rungs_are_not_measured() -> None:
    assert rungs(pairs(20, output_tokens=None), pairs(20))[1] is Rung.NOT_MEASURED
    assert rungs([], []) == [Rung.NOT_MEASURED] * 5
