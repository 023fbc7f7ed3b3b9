"""Prompts stay with the cache of their beginning, within bounds, and replicas come and go with little moved."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.policies.prefix_affinity import BOUND, ENDS, LEADING_BYTES, Home, chain, home, rendezvous

IDS = st.sets(st.integers(1, 10_000), min_size=2, max_size=9)
HASHES = st.integers(0, 2**64 - 1)


@given(st.text(), st.text(), st.text())
def test_chains_agree_exactly_as_far_as_the_texts_do(shared: str, one: str, other: str) -> None:
    first, second = (shared * 40 + one * 90).encode(), (shared * 40 + other * 90).encode()
    chains = [chain(text.decode(), "m") for text in (first, second)]
    assert [len(found) for found in chains] == [sum(end <= len(text) for end in ENDS) for text in (first, second)]
    for end, a, b in zip(ENDS, *chains, strict=False):
        assert (a == b) == (first[:end] == second[:end])


def test_a_chain_is_the_models_own_and_stops_at_a_limit() -> None:
    text = "x" * (LEADING_BYTES + 999)
    assert chain(text, "a") != chain(text, "b")
    assert len(chain(text, "a")) == len(ENDS)
    assert chain("short", "a") == ()


@given(IDS, st.lists(HASHES, min_size=1, max_size=50))
def test_a_replica_that_leaves_moves_only_its_own_keys(ids: set[int], keys: list[int]) -> None:
    gone = min(ids)
    for key in keys:
        before, after = rendezvous(key, sorted(ids)), rendezvous(key, sorted(ids - {gone}))
        assert after == [replica for replica in before if replica != gone]


@settings(max_examples=20)
@given(st.sets(st.integers(1, 10_000), min_size=2, max_size=6), st.integers(0, 2**40))
def test_a_replica_that_joins_takes_about_its_share(ids: set[int], start: int) -> None:
    new, keys = 20_000, range(start, start + 2000)
    moved = 0
    for key in keys:
        before, after = rendezvous(key, sorted(ids))[0], rendezvous(key, [*sorted(ids), new])[0]
        assert after in (before, new)
        moved += after == new
    assert 0.6 < moved / len(keys) * (len(ids) + 1) < 1.4


def test_keys_spread_evenly() -> None:
    counts = Counter(rendezvous(key, [1, 2, 3])[0] for key in range(3000))
    assert min(counts.values()) > 850


@given(
    st.lists(HASHES, min_size=1, max_size=len(ENDS), unique=True),
    st.dictionaries(st.integers(1, 9), st.floats(1, 1e6), min_size=1),
    st.data(),
)
def test_whoever_is_chosen_is_within_the_bound(hashes: list[int], costs: dict[int, float], data: st.DataObject) -> None:
    placed = data.draw(st.dictionaries(st.sampled_from(hashes), st.integers(1, 9)))
    found = home(hashes, costs, placed)
    saved = found.known_bytes // 4
    assert costs[found.replica] - saved <= BOUND * sum(costs.values()) / len(costs) * (1 + 1e-9)
    assert found.full != found.replica
    assert not found.known_bytes or placed[hashes[ENDS.index(found.known_bytes)]] == found.replica


def test_the_longest_known_beginning_wins_and_a_full_replica_hands_on() -> None:
    hashes, even = (11, 22, 33), {1: 1000.0, 2: 1000.0, 3: 1000.0}
    assert home(hashes, even, {11: 1, 22: 2}) == Home(2, ENDS[1])
    busy = {1: 1000.0, 2: 9000.0, 3: 1000.0}
    assert home(hashes, busy, {11: 1, 22: 2}) == Home(1, ENDS[0], full=2)
    assert home(hashes, busy, {22: 2}).full == 2
    assert home(hashes, even, {11: 99}) == Home(rendezvous(11, [1, 2, 3])[0], 0)


def test_what_is_cached_counts_for_its_replica() -> None:
    hashes = tuple(range(len(ENDS)))
    costs = {1: 9000.0, 2: 2000.0, 3: 2000.0}
    assert home(hashes, costs, {len(ENDS) - 1: 1}).replica == 1
    assert home(hashes, costs, {0: 1}).replica != 1
