"""The sketch keeps 1 % relative error, merges in any order, and puts failures last."""

import math

from hypothesis import given
from hypothesis import strategies as st

from routing import sketch

durations = st.lists(st.floats(0.0001, 1000), min_size=1, max_size=200)


def sketch_of(values: list[float]) -> dict[str, int]:
    made: dict[str, int] = {}
    for value in values:
        sketch.add(made, value)
    return made


@given(durations, st.floats(0.01, 1))
def test_a_quantile_is_within_one_per_cent_of_the_nearest_rank(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    found = sketch.quantile(sketch_of(values), share)
    assert found is not None
    assert abs(found - exact) <= 0.0101 * exact


@given(durations, durations)
def test_merging_equals_counting_together(left: list[float], right: list[float]) -> None:
    assert sketch.merge([sketch_of(left), sketch_of(right)]) == sketch_of(left + right)


def test_no_data_is_none() -> None:
    assert sketch.quantile({}, 0.95) is None


def test_failures_rank_above_every_duration() -> None:
    assert sketch.quantile(sketch_of([1.0] * 9), 0.95, failures=1) == math.inf
