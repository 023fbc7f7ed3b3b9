"""The sticky split: exact at its ends, monotone, and close to its weights."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from routing.split import BUCKETS, assign, draw
from routing.table import Member, Role
from tests.routing.tables import member

weights = st.integers(min_value=0, max_value=100)
draws = st.tuples(st.integers(0, BUCKETS - 1), st.integers(0, BUCKETS - 1))


def name_of(members: list[Member], bucket: int, second: int) -> str | None:
    found = assign(members, bucket, second)
    return found.engine if found else None


@given(weights, weights, draws)
def test_a_growing_canary_only_adds_keys(before: int, after: int, key: tuple[int, int]) -> None:
    low, high = sorted((before, after))
    old = [member("base", 100 - low), member("canary", low, canary=True)]
    new = [member("base", 100 - high), member("canary", high, canary=True)]
    if name_of(old, *key) == "canary":
        assert name_of(new, *key) == "canary"


@given(weights, weights, st.integers(1, 49), draws)
def test_a_growing_canary_moves_no_key_between_the_others(a: int, b: int, share: int, key: tuple[int, int]) -> None:
    others = [member("one", share), member("two", 50 - share)]
    old = name_of([*others, member("canary", a, canary=True)], *key)
    new = name_of([*others, member("canary", b, canary=True)], *key)
    assert old == new or "canary" in (old, new)


@given(draws)
def test_weight_zero_gives_none_and_weight_hundred_gives_all(key: tuple[int, int]) -> None:
    for canary in (True, False):
        members = [member("all", 100), member("none", 0, canary=canary)]
        assert name_of(members, *key) == "all"
        members = [member("none", 0), member("all", 100, canary=canary)]
        assert name_of(members, *key) == "all"


@given(weights, draws)
def test_members_that_are_no_part_of_the_split_get_nothing(weight: int, key: tuple[int, int]) -> None:
    members = [
        member("out", weight, role=Role.OUT),
        member("standby", weight, role=Role.STANDBY),
        member("zero", 0),
    ]
    assert assign(members, *key) is None


@given(st.text(), st.text())
def test_the_same_key_always_draws_the_same(salt: str, key: str) -> None:
    bucket, second = draw(salt, key)
    assert (bucket, second) == draw(salt, key)
    assert 0 <= bucket < BUCKETS
    assert 0 <= second < BUCKETS


def test_a_thousand_keys_come_within_three_points_of_the_weights() -> None:
    for canary in (True, False):
        members = [member("a", 30, canary=canary), member("b", 70)]
        counts = Counter(name_of(members, *draw("salt", f"user-{i}")) for i in range(1000))
        assert abs(counts["a"] - 300) <= 30


def test_the_order_of_the_members_does_not_matter() -> None:
    members = [member("a", 20, canary=True), member("b", 30), member("c", 50)]
    for i in range(500):
        key = draw("salt", str(i))
        assert name_of(members, *key) == name_of(members[::-1], *key)


def test_a_new_salt_deals_the_keys_anew() -> None:
    moved = sum(draw("one", str(i))[0] < 5000 != draw("two", str(i))[0] < 5000 for i in range(400))
    assert moved > 50
