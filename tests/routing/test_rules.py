"""Every rule against every role, and what is said when no engine may answer."""

import itertools
from dataclasses import replace

import pytest

from engines.client import Feature
from routing.decision import Reason, ReplicaLoad, RequestFacts, Rule, Unroutable
from routing.rules import decide
from routing.split import assign, draw
from routing.table import EngineState, Member, Role
from tests.routing.tables import NOW, engine, facts, health, member, table

PLACES = {
    "baseline": Member("x", Role.SPLIT, 100),
    "canary": Member("x", Role.SPLIT, 100, canary=True),
    "weight_zero": Member("x", Role.SPLIT, 0),
    "canary_zero": Member("x", Role.SPLIT, 0, canary=True),
    "standby": Member("x", Role.STANDBY, 0),
    "out": Member("x", Role.OUT, 0),
}
# Which rule may reach the only engine of a route, by its place there. None: the route answers 503.
EXPECTED = {("explicit", place): Rule.EXPLICIT for place in PLACES} | {
    ("long_input", "baseline"): Rule.LONG_INPUT,
    ("long_input", "standby"): Rule.LONG_INPUT,
    ("long_input", "canary"): Rule.SPLIT,
    ("big_model", "baseline"): Rule.BIG_MODEL,
    ("big_model", "standby"): Rule.BIG_MODEL,
    ("big_model", "canary"): Rule.SPLIT,
    ("split", "baseline"): Rule.SPLIT,
    ("split", "canary"): Rule.SPLIT,
    ("split", "standby"): Rule.FALLBACK,
    ("fail_open", "baseline"): Rule.FAIL_OPEN,
    ("fail_open", "standby"): Rule.FAIL_OPEN,
}


@pytest.mark.parametrize(
    ("case", "place"),
    list(itertools.product(("explicit", "long_input", "big_model", "split", "fail_open"), PLACES)),
)
def test_each_rule_reaches_only_the_roles_it_may(case: str, place: str) -> None:
    the_table = table([engine("x", 1, kind="vllm", big=case == "big_model")], [PLACES[place]])
    request = facts(tokens=9000 if case == "long_input" else 5, explicit="x" if case == "explicit" else None)
    state = health(the_table, sick=("x",) if case == "fail_open" else ())
    expected = EXPECTED.get((case, place))
    if expected is None:
        with pytest.raises(Unroutable) as caught:
            decide(request, the_table, state, {}, NOW)
        assert caught.value.status == 503
        assert caught.value.code == "no_healthy_engine"
    else:
        decision = decide(request, the_table, state, {}, NOW)
        assert (decision.rule, decision.engine) == (expected, "x")


@pytest.mark.parametrize("place", PLACES)
def test_fallback_reaches_only_baseline_and_standby(place: str) -> None:
    members = [member("base", 50), replace(PLACES[place], weight=min(50, PLACES[place].weight))]
    the_table = table([engine("base", 1), engine("x", 2)], members)
    state = health(the_table, sick=("base",))
    decision = decide(_facts_for(the_table.routes["demo"].members, "base"), the_table, state, {}, NOW)
    expected = ("x", Rule.FALLBACK) if place in ("baseline", "standby") else ("base", Rule.FAIL_OPEN)
    assert (decision.engine, decision.rule) == expected
    if expected[0] == "base":
        assert "x" not in dict(decision.order)


def _facts_for(members: tuple[Member, ...], wanted: str) -> RequestFacts:
    for i in range(10_000):
        found = assign(members, *draw("salt", str(i)))
        if found is None or found.engine == wanted:
            return facts(str(i))
    return facts("nobody")


def test_long_input_prefers_vllm_then_trtllm_and_starts_above_the_limit() -> None:
    engines = [engine("c", 1), engine("t", 2, kind="trtllm"), engine("v", 3, kind="vllm")]
    members = [member("c", 100), member("t", role=Role.STANDBY), member("v", role=Role.STANDBY)]
    the_table = table(engines, members)
    assert decide(facts(tokens=8192), the_table, health(the_table), {}, NOW).engine == "c"
    assert decide(facts(tokens=8193), the_table, health(the_table), {}, NOW).engine == "v"
    sick = decide(facts(tokens=8193), the_table, health(the_table, sick=("v",)), {}, NOW)
    assert (sick.engine, sick.rule, sick.arm) == ("t", Rule.LONG_INPUT, None)
    none_left = decide(facts(tokens=8193), the_table, health(the_table, sick=("v", "t")), {}, NOW)
    assert (none_left.engine, none_left.rule) == ("c", Rule.SPLIT)
    assert "8193 input tokens are more than 8192, but t: unhealthy; v: unhealthy. Bucket " in none_left.why
    assert "but" not in decide(facts(tokens=8192), the_table, health(the_table, sick=("v",)), {}, NOW).why


def test_a_route_with_a_big_model_says_why_another_engine_had_to_answer() -> None:
    the_table = table([engine("c", 1), engine("v", 2, kind="vllm", big=True)], [member("c", 50), member("v", 50)])
    for key in "abcdefgh":
        decision = decide(facts(key), the_table, health(the_table, sick=("v",)), {}, NOW)
        assert decision.engine == "c"
        assert decision.why.startswith("The model is a big one, but v: unhealthy. ")


def test_the_retry_order_is_another_engine_first_then_another_replica() -> None:
    the_table = table([engine("a", 1, replicas=2), engine("b", 2)], [member("a", 100), member("b", role=Role.STANDBY)])
    loads = {10: ReplicaLoad(in_flight=1, in_flight_tokens=50)}
    order = decide(facts(), the_table, health(the_table), loads, NOW).order
    assert order == (("a", 11), ("b", 20), ("a", 10))


def test_an_explicit_engine_is_never_replaced() -> None:
    the_table = table([engine("a", 1), engine("b", 2)], [member("a", 100), member("b", role=Role.OUT)])
    decision = decide(facts(explicit="b"), the_table, health(the_table, sick=("b",)), {}, NOW)
    assert decision.order == (("b", 20),)
    with pytest.raises(Unroutable) as caught:
        decide(facts(explicit="c"), the_table, health(the_table), {}, NOW)
    assert (caught.value.status, caught.value.code) == (404, "engine_not_found")


@pytest.mark.parametrize("state", [EngineState.DISABLED, EngineState.DRAINING])
def test_a_drained_or_disabled_engine_answers_nobody_and_says_why(state: EngineState) -> None:
    the_table = table([engine("a", 1, state=state)], [member("a", 100)])
    for explicit in ("a", None):
        with pytest.raises(Unroutable) as caught:
            decide(facts(explicit=explicit), the_table, health(the_table), {}, NOW)
        assert caught.value.status == 503
        assert caught.value.candidates[0].reasons == (Reason(state.value),)
    with pytest.raises(Unroutable, match=state.value):
        decide(facts(explicit="a"), the_table, health(the_table), {}, NOW)


def test_an_engine_that_lacks_a_feature_is_passed_over_and_none_left_is_a_400() -> None:
    lacks = {"guided": "no"}
    engines = [engine("a", 1, features=lacks), engine("b", 2, features={"guided": "yes"})]
    members = [member("a", 100), member("b", role=Role.STANDBY)]
    the_table = table(engines, members)
    wants = facts(features=frozenset({Feature.GUIDED}))
    decision = decide(wants, the_table, health(the_table), {}, NOW)
    assert (decision.engine, decision.arm) == ("b", None)
    assert decision.candidates[0].detail == "lacks guided"
    alone = table([engine("a", 1, features=lacks)], [member("a", 100)])
    with pytest.raises(Unroutable, match="guided") as caught:
        decide(wants, alone, health(alone), {}, NOW)
    assert caught.value.status == 400


def test_a_best_effort_feature_excludes_nobody() -> None:
    the_table = table([engine("a", 1, features={"seed": "no"})], [member("a", 100)])
    decision = decide(facts(features=frozenset({Feature.SEED})), the_table, health(the_table), {}, NOW)
    assert decision.rule is Rule.SPLIT


def test_a_request_longer_than_every_context_is_a_400_that_says_so() -> None:
    the_table = table([engine("a", 1, context=4096)], [member("a", 100)])
    with pytest.raises(Unroutable, match="4096") as caught:
        decide(facts(context=5000), the_table, health(the_table), {}, NOW)
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


def test_a_full_route_is_overloaded_and_a_saturated_one_fails_open() -> None:
    the_table = table([engine("a", 1, cap=2)], [member("a", 100)])
    with pytest.raises(Unroutable) as caught:
        decide(facts(), the_table, health(the_table), {10: ReplicaLoad(in_flight=2)}, NOW)
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    saturated = {10: ReplicaLoad(saturated_until=NOW + 1)}
    assert decide(facts(), the_table, health(the_table), saturated, NOW).rule is Rule.FAIL_OPEN


def test_an_engine_enters_only_after_its_first_probe() -> None:
    the_table = table([engine("a", 1)], [member("a", 100)])
    with pytest.raises(Unroutable) as caught:
        decide(facts(), the_table, health(the_table, unknown=("a",)), {}, NOW)
    assert caught.value.candidates[0].reasons == (Reason.NEVER_PROBED,)


def test_the_preferred_kind_leads_the_fallback_but_never_outweighs_the_split() -> None:
    engines = [engine("c", 1), engine("d", 2), engine("v", 3, kind="vllm")]
    members = [member("c", 100), member("d", role=Role.STANDBY), member("v", role=Role.STANDBY)]
    for preferred, then in (("auto", "d"), ("vllm", "v"), ("custom", "d")):
        the_table = table(engines, members, preferred_kind=preferred)
        assert decide(facts(), the_table, health(the_table), {}, NOW).engine == "c"
        assert decide(facts(), the_table, health(the_table, sick=("c",)), {}, NOW).engine == then


def test_an_unknown_route_is_a_404() -> None:
    the_table = table([engine("a", 1)], [member("a", 100)])
    with pytest.raises(Unroutable) as caught:
        decide(facts(route="nope"), the_table, health(the_table), {}, NOW)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
