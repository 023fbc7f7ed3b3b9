"""Power of two choices over outstanding tokens, with feedback from how long answers took."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.decision import ReplicaLoad, RequestFacts
from routing.gateway.limits import Work
from routing.policies.least_outstanding import PACE_SECONDS, draw, rank, weigh
from routing.table import ReplicaEntry
from tests.routing.tables import NOW, facts

REPLICAS = [ReplicaEntry(number, f"http://r{number}") for number in (1, 2, 3)]


def request(number: int, tokens: int = 100) -> RequestFacts:
    return facts(request_id=f"r{number}", expected=tokens)


@given(st.text(), st.integers(2, 40))
def test_two_different_replicas_are_drawn(name: str, count: int) -> None:
    first, second = draw(name, count)
    assert first != second
    assert {first, second} <= set(range(count))


def test_every_pair_is_drawn_about_as_often() -> None:
    pairs = Counter(frozenset(draw(f"req_{number}", 3)) for number in range(3000))
    assert len(pairs) == 3
    assert min(pairs.values()) > 850


def test_the_one_with_fewer_outstanding_tokens_comes_first_and_all_others_follow() -> None:
    loads = {1: ReplicaLoad(in_flight_tokens=900), 2: ReplicaLoad(in_flight_tokens=10), 3: ReplicaLoad(in_flight=1)}
    for number in range(30):
        order = [replica.id for replica in rank(REPLICAS, request(number), loads, tie=5, now=NOW)]
        assert sorted(order) == [1, 2, 3]
        assert order[0] != 1


def test_equal_loads_keep_a_session_on_one_replica() -> None:
    pair = REPLICAS[:2]
    firsts = {rank(pair, request(number), {}, tie=77, now=NOW)[0].id for number in range(20)}
    assert len(firsts) == 1
    assert len({rank(pair, request(1), {}, tie=tie, now=NOW)[0].id for tie in range(20)}) == 2


def test_a_replica_four_times_slower_counts_four_times() -> None:
    loads = {1: ReplicaLoad(0, 100, pace=0.04, paced_at=NOW), 2: ReplicaLoad(0, 500, pace=0.01, paced_at=NOW)}
    assert [weight.cost(100) for weight in weigh(REPLICAS, loads, NOW)] == pytest.approx([800.0, 600.0, 100.0])


def test_a_prompt_that_was_read_is_outstanding_no_more() -> None:
    work = Work()
    work.begin(1, 400)
    work.read(1, 300)
    assert (work.loads[1].in_flight, work.loads[1].in_flight_tokens) == (1, 100)
    work.end(1, 100)
    assert (work.loads[1].in_flight, work.loads[1].in_flight_tokens) == (0, 0)


def test_a_small_difference_of_pace_is_noise_and_an_old_one_says_nothing() -> None:
    def slow(pace: float, age: float) -> list[float]:
        loads = {1: ReplicaLoad(pace=0.01, paced_at=NOW), 2: ReplicaLoad(pace=pace, paced_at=NOW - age)}
        return [weight.slow for weight in weigh(REPLICAS[:2], loads, NOW)]

    assert slow(0.019, 0) == [1.0, 1.0]
    assert slow(0.04, 0) == [1.0, 4.0]
    assert slow(1.0, 0) == [1.0, 8.0]
    assert slow(0.04, PACE_SECONDS + 1) == [1.0, 1.0]


def test_a_pace_is_known_after_a_few_answers_and_fades_towards_newer_ones() -> None:
    work = Work()
    for number in range(3):
        work.answered(1, input_tokens=320, output_tokens=90, seconds=2.0, now=NOW + number)
        assert (1 in work.loads) == (number == 2)
    work.answered(1, input_tokens=320, output_tokens=90, seconds=2.0, now=NOW + 3)
    assert work.loads[1].pace == pytest.approx(0.02)
    work.begin(1, 50)
    work.end(1, 50)
    assert work.loads[1].pace == pytest.approx(0.02)
    for number in range(40):
        work.answered(1, input_tokens=320, output_tokens=90, seconds=8.0, now=NOW + 10 + number * 3)
    assert work.loads[1].pace == pytest.approx(0.08, rel=0.1)
