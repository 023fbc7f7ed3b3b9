"""engines.health: the score is bounded and monotone, its state does not flap, and unknown is never a number."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import health
from engines.client import EngineHealth, HealthInput
from engines.health import Limits, ReplicaState, score

LIMITS = Limits()
RULES = health.rules(LIMITS)
FRESH = {"reachable": 1, "generation": 1, "served_model": 1, "heartbeat": 0, "waiting": 0, "kv_use": 0.1}
VALUES = st.dictionaries(
    st.sampled_from([rule.name for rule in RULES]), st.none() | st.floats(0, 1000), max_size=len(RULES)
)
STATES = st.none() | st.builds(ReplicaState, st.floats(0, 1), st.booleans(), st.integers(0, 1), st.booleans())


def inputs(age=1.0, **values):
    return [HealthInput(name, value, "", age) for name, value in {**FRESH, **values}.items()]


def after(previous, **values):
    return score(inputs(**values), previous.state if previous else None, 100.0, LIMITS)


@given(VALUES, STATES)
def test_the_score_is_a_share_and_the_confidence_too(values, previous):
    result = score([HealthInput(name, value, "", 1) for name, value in values.items()], previous, 1.0, LIMITS)
    assert 0 <= result.score <= 1
    assert 0 <= result.confidence <= 1


@given(VALUES, st.sampled_from(RULES), st.floats(0, 1000), st.floats(0, 1000))
def test_a_worse_value_never_raises_the_score(values, rule, one, two):
    better, worse = (min(one, two), max(one, two)) if rule.bad > rule.good else (max(one, two), min(one, two))
    results = [
        score([HealthInput(name, value, "", 1) for name, value in {**values, rule.name: given_value}.items()],
              None, 1.0, LIMITS).score
        for given_value in (better, worse)
    ]  # fmt: skip
    assert results[1] <= results[0]


@given(st.booleans(), st.lists(st.floats(8.4, 11.1), min_size=1, max_size=30))
def test_within_the_band_the_state_never_changes(start, ttfts):
    state = ReplicaState(0.75, start, 0, True)
    for ttft in ttfts:
        result = score(inputs(ttft_p95=9.9 + (ttft - 9.75) * 0.9), state, 1.0, LIMITS)
        if 0.7 <= result.score < 0.8:
            assert result.in_rotation is start
            state = result.state


@given(st.lists(st.floats(0, 30), min_size=2, max_size=30))
def test_an_engine_that_was_in_comes_back_only_after_two_good_checks(ttfts):
    state, scores = ReplicaState(0.5, False, 0, True), [0.0]
    for ttft in ttfts:
        result = score(inputs(ttft_p95=ttft), state, 1.0, LIMITS)
        if result.in_rotation and not state.in_rotation:
            assert result.score >= 0.8
            assert scores[-1] >= 0.8
        scores.append(result.score)
        state = result.state


def test_a_fresh_replica_enters_on_its_first_good_probe():
    assert after(None).in_rotation
    assert after(None).score == 1


def test_a_replica_that_never_generated_is_not_admitted():
    waiting = after(None, generation=None)
    assert not waiting.in_rotation
    assert "first generation" in waiting.advice
    assert after(waiting).in_rotation


@pytest.mark.parametrize("gate", ["reachable", "generation", "served_model", "awake"])
def test_a_closed_gate_scores_zero_and_takes_it_out_at_once(gate):
    result = after(after(None), **{gate: 0})
    assert (result.score, result.in_rotation, result.worst) == (0, False, gate)
    assert result.advice


def test_after_an_outage_it_takes_two_good_checks():
    out = after(after(None), reachable=0)
    first = after(out)
    assert (first.in_rotation, first.streak) == (False, 1)
    assert after(first).in_rotation
    assert not after(after(first, ttft_p95=30)).in_rotation


def test_load_alone_never_takes_a_replica_out():
    assert after(after(None), waiting=10_000, kv_use=1.0).in_rotation


@pytest.mark.parametrize("bad", [{"ttft_p95": 14}, {"error_share": 0.1}, {"heartbeat": 30}])
def test_a_broken_objective_or_a_still_engine_takes_it_out(bad):
    assert not after(after(None), **bad).in_rotation


def test_the_objective_itself_costs_no_points():
    assert after(None, ttft_p95=7, error_share=0.005).score == 1


def test_a_stale_input_is_left_out_and_lowers_the_confidence():
    stale = [*inputs(), HealthInput("ttft_p95", 99, "seconds", 10.1)]
    fresh = [*inputs(), HealthInput("ttft_p95", 1, "seconds", 9.9)]
    one, other = (score(values, None, 1.0, LIMITS) for values in (stale, fresh))
    row = next(row for row in one.rows if row.name == "ttft_p95")
    assert (row.stale, row.points_lost, row.value) == (True, None, 99)
    assert one.score == 1
    assert one.confidence < other.confidence


def test_a_missing_input_loses_no_points_and_gains_none():
    row = next(row for row in after(None, kv_use=None).rows if row.name == "kv_use")
    assert (row.value, row.points_lost) == (None, None)


def test_when_nothing_is_known_the_last_state_stands():
    kept = score([], ReplicaState(0.9, True, 0, True), 1.0, LIMITS)
    assert (kept.score, kept.in_rotation, kept.confidence) == (0.9, True, 0)
    assert not score([], None, 1.0, LIMITS).in_rotation


@pytest.mark.parametrize(("tokens_age", "value"), [(1.0, None), (5.1, 0), (None, 0)])
def test_a_probe_that_times_out_while_tokens_flow_is_no_failure(tokens_age, value):
    seen = EngineHealth(False, timed_out=True)
    assert health.reachable_input(seen, tokens_age, LIMITS).value == value


def test_a_refused_probe_is_a_failure_even_while_tokens_flow():
    assert health.reachable_input(EngineHealth(False), 0.1, LIMITS).value == 0


def test_too_few_outcomes_say_nothing():
    values = health.passive_inputs(ttft_p95=9, error_share=1.0, count=1, age_seconds=1, limits=LIMITS)
    assert [item.value for item in values] == [None, None]
    values = health.passive_inputs(ttft_p95=9, error_share=1.0, count=20, age_seconds=1, limits=LIMITS)
    assert [item.value for item in values] == [9, 1.0]


@given(VALUES, STATES)
def test_a_score_survives_storage_as_json(values, previous):
    result = score([HealthInput(name, value, "", 1) for name, value in values.items()], previous, 1.0, LIMITS)
    assert health.from_json(json.loads(json.dumps(health.to_json(result)))) == result
