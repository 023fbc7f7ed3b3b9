"""The arithmetic of a canary's weight, for any split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.shares import has_weight_beside, raised, weight_of, with_canary, without_canary
from routing.table import Member, Role

NAMES = ("alpha", "beta", "gamma")


@st.composite
def splits(draw: st.DrawFn) -> list[Member]:
    """Up to three engines that share 100 %, a standby, and perhaps the canary at 0 %."""
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=2, max_size=2)))
    weights = (cuts[0], cuts[1] - cuts[0], 100 - cuts[1])
    members = [Member(name, Role.SPLIT, weight) for name, weight in zip(NAMES, weights, strict=True)]
    members.append(Member("spare", Role.STANDBY))
    if draw(st.booleans()):
        members.append(Member("new", Role.SPLIT, 0, canary=True))
    return members


def total(members: list[Member]) -> int:
    return sum(member.weight for member in members)


@given(splits(), st.integers(0, 100))
def test_whatever_the_canary_gets_the_weights_sum_to_100(before: list[Member], weight: int) -> None:
    members = with_canary(before, "new", weight)
    assert total(members) == 100
    assert weight_of(members, "new") == weight
    assert all(member.weight >= 0 for member in members)
    assert [member.engine for member in members if member.canary] == ["new"]


@given(splits(), st.integers(1, 99), st.integers(1, 99))
def test_the_others_keep_their_proportions_within_one_per_cent(before: list[Member], first: int, second: int) -> None:
    walked = with_canary(with_canary(before, "new", first), "new", second)
    for member in before:
        if member.role is Role.SPLIT and member.engine != "new":
            share = member.weight * (100 - second) / 100
            assert weight_of(with_canary(before, "new", second), member.engine) == pytest.approx(share, abs=1)
    assert total(walked) == 100


@given(splits())
def test_at_100_the_former_baselines_stand_by(before: list[Member]) -> None:
    members = with_canary(before, "new", 100)
    for member in before:
        after = next(item for item in members if item.engine == member.engine)
        if member.weight:
            assert after.role is Role.STANDBY
    assert not has_weight_beside(members, "new")
    assert not any(member.canary for member in without_canary(members, "new"))


def test_a_route_without_weight_beside_the_canary_has_nobody_to_share_with() -> None:
    with pytest.raises(ValueError, match="No engine but new"):
        with_canary([Member("new", Role.SPLIT, 100)], "new", 50)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((90, 10), (95, 5), []),
        ((90, 10), (75, 25), ["new"]),
        ((100, 0), (0, 100), ["new"]),
        ((0, 100), (100, 0), ["old"]),
    ],
)
def test_only_a_gain_of_a_canary_or_of_an_engine_without_weight_counts_as_raising(
    before: tuple[int, int], after: tuple[int, int], expected: list[str]
) -> None:
    def make(old: int, new: int) -> list[Member]:
        return [Member("old", Role.SPLIT, old), Member("new", Role.SPLIT, new, canary=True)]

    assert raised(make(*before), make(*after)) == expected


def test_taking_the_mark_off_does_not_hide_a_raise() -> None:
    before = [Member("old", Role.SPLIT, 90), Member("new", Role.SPLIT, 10, canary=True)]
    after = [Member("old", Role.SPLIT, 50), Member("new", Role.SPLIT, 50)]
    assert raised(before, after) == ["new"]
