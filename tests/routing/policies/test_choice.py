"""Which policy picks the replica, and what the decision says of it."""

from routing.decision import Decision, ReplicaLoad, RequestFacts, to_json
from routing.gateway.limits import BEGINNINGS, Work
from routing.rules import decide
from routing.table import Role, Table
from tests.routing.tables import NOW, engine, facts, health, member, table

TALK = "You are a patient helper. " * 40


def world(
    *, kind: str = "vllm", replicas: int = 3, features: dict[str, str] | None = None, **settings: object
) -> Table:
    engines = [engine("a", 1, kind=kind, replicas=replicas, features=features), engine("b", 2)]
    return table(engines, [member("a", 100), member("b", role=Role.STANDBY)], **settings)


def ask(the_table: Table, request: RequestFacts, work: Work) -> Decision:
    return decide(request, the_table, health(the_table), work.loads, NOW, placed=work.placed)


def test_a_conversation_stays_where_its_beginning_was_sent() -> None:
    the_table, work = world(), Work()
    first = ask(the_table, facts(leading=TALK, request_id="r1"), work)
    assert first.policy == "prefix_affinity"
    assert "is new here" in first.policy_why
    work.place(first.beginnings, first.order[0][1])
    for turn in range(2, 9):
        later = ask(the_table, facts(f"k{turn}", leading=TALK + "and then " * 60 * turn, request_id=f"r{turn}"), work)
        assert later.order[0] == first.order[0]
        assert f"Replica {first.order[0][1]} was sent the first 1,024 bytes" in later.policy_why
    assert sorted(place[1] for place in later.order if place[0] == "a") == [10, 11, 12]
    assert "beginnings" not in to_json(later)


def test_a_full_home_hands_on_and_the_decision_names_both() -> None:
    the_table, work = world(), Work()
    first = ask(the_table, facts(leading=TALK), work)
    home = first.order[0][1]
    work.place(first.beginnings, home)
    work.begin(home, 50_000)
    then = ask(the_table, facts(leading=TALK, expected=300), work)
    assert then.order[0][1] != home
    assert f"replica {home} comes first but would have over 1.25 times the mean load" in then.policy_why


def test_affinity_is_off_without_a_prefix_cache_without_the_setting_and_for_short_prompts() -> None:
    long, short = facts(leading=TALK), facts(leading="Hello.")
    cases = [
        (world(kind="custom"), long, False),
        (world(kind="custom", features={"prefix_cache": "yes:detected"}), long, True),
        (world(features={"prefix_cache": "no"}), long, False),
        (world(enable_prefix_cache=False), long, False),
        (world(), short, False),
        (world(), long, True),
    ]
    for the_table, request, sticks in cases:
        found = ask(the_table, request, Work())
        assert found.policy == ("prefix_affinity" if sticks else "least_outstanding")
        assert bool(found.beginnings) == sticks


def test_an_engine_with_one_replica_has_no_choice_to_explain() -> None:
    found = ask(world(replicas=1), facts(leading=TALK), Work())
    assert (found.policy, found.policy_why, found.beginnings) == ("only_replica", "", ())


def test_least_outstanding_says_what_it_compared() -> None:
    the_table = world(kind="custom", replicas=2)
    work = Work()
    work.begin(10, 4000)
    work.loads[11] = ReplicaLoad(1, 20, pace=0.04, paced_at=NOW)
    work.loads[10] = ReplicaLoad(1, 4000, pace=0.01, paced_at=NOW)
    why = ask(the_table, facts(expected=100), work).policy_why
    assert why == (
        "Of two drawn, replica 11 has 20 tokens outstanding (4.0 times slower), "
        "replica 10 has 4,000 tokens outstanding."
    )


def test_old_beginnings_are_forgotten_first() -> None:
    work = Work()
    work.place((1, 2), 7)
    for number in range(3, BEGINNINGS + 2):
        work.place((number, 2), 8)
    assert len(work.placed) == BEGINNINGS
    assert 1 not in work.placed
    assert work.placed[2] == 8
