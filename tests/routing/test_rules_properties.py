"""Whatever the state of the world: weight 0 and canaries are reached by nothing that may not reach them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.client import Feature
from routing.decision import ReplicaLoad, RequestFacts, Rule, Unroutable
from routing.rules import decide
from routing.table import EngineState, Health, Member, ReplicaHealth, Role, Table
from tests.routing.tables import NOW, engine, facts, table

NAMES = ("a", "b", "c", "d")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Table, Health, dict[int, ReplicaLoad]]:
    engines, members, replicas, loads = [], [], {}, {}
    for number, name in enumerate(draw(st.sets(st.sampled_from(NAMES), min_size=1)), start=1):
        entry = engine(
            name,
            number,
            kind=draw(st.sampled_from(["custom", "vllm", "trtllm"])),
            replicas=draw(st.integers(0, 2)),
            big=draw(st.booleans()),
            context=draw(st.sampled_from([None, 4096, 100_000])),
            state=draw(st.sampled_from(EngineState)),
            cap=2,
            features=draw(st.sampled_from([{}, {"tools": "no"}, {"tools": "yes"}])),
        )
        engines.append(entry)
        members.append(
            Member(
                name,
                draw(st.sampled_from(Role)),
                draw(st.sampled_from([0, 0, 10, 50, 100])),
                draw(st.booleans()),
            )
        )
        for replica in entry.replicas:
            if draw(st.integers(0, 9)):
                score = draw(st.floats(0, 1))
                replicas[replica.id] = ReplicaHealth(score, score >= 0.7, NOW)
            loads[replica.id] = ReplicaLoad(
                in_flight=draw(st.integers(0, 2)),
                tripped=draw(st.booleans()),
                saturated_until=draw(st.sampled_from([0.0, NOW + 5])),
            )
    preferred = draw(st.sampled_from(["auto", "custom", "vllm", "trtllm"]))
    return table(engines, members, preferred_kind=preferred), Health(1, NOW, replicas), loads


@st.composite
def requests(draw: st.DrawFn) -> RequestFacts:
    return facts(
        draw(st.text(max_size=8)),
        tokens=draw(st.sampled_from([5, 9000])),
        explicit=draw(st.sampled_from([None, None, *NAMES])),
        features=draw(st.sampled_from([frozenset(), frozenset({Feature.TOOLS})])),
    )


@settings(max_examples=400, deadline=None)
@given(worlds(), requests())
def test_no_rule_reaches_what_it_may_not(
    world: tuple[Table, Health, dict[int, ReplicaLoad]], request: RequestFacts
) -> None:
    the_table, health, loads = world
    members = {member.engine: member for member in the_table.routes["demo"].members}
    try:
        decision = decide(request, the_table, health, loads, NOW)
    except Unroutable:
        return
    assert decision.order
    assert len(set(decision.order)) == len(decision.order)
    for place, (name, replica) in enumerate(decision.order):
        entry, member = the_table.engines[name], members[name]
        assert replica in {item.id for item in entry.replicas}
        assert entry.state is EngineState.ACTIVE
        assert replica in health.replicas
        assert not loads[replica].tripped
        if decision.rule is Rule.EXPLICIT:
            assert name == request.explicit_engine
            continue
        assert member.role is not Role.OUT
        assert member.role is Role.STANDBY or member.weight > 0
        if member.canary:
            assert decision.rule is Rule.SPLIT
            assert member.role is Role.SPLIT
            assert decision.arm == name
            assert place == 0 or decision.order[0][0] == name
        if decision.rule is not Rule.FAIL_OPEN:
            assert health.replicas[replica].in_rotation


@settings(max_examples=200, deadline=None)
@given(worlds(), requests())
def test_the_same_request_in_the_same_world_is_decided_the_same(
    world: tuple[Table, Health, dict[int, ReplicaLoad]], request: RequestFacts
) -> None:
    def answer() -> object:
        try:
            return decide(request, *world, NOW)
        except Unroutable as refusal:
            return refusal.status, refusal.code, refusal.message

    assert answer() == answer()
