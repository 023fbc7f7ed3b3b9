"""A failover run's row, and the temporary engine and route that must not outlive it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from console.models import AuditEvent
from engines.actors import Actor
from engines.models import Engine
from gates.failover import actions
from gates.failover.actions import InvalidPair, NotRunning
from gates.failover.scenarios import InvalidPlan, Plan, Scenario
from gates.models import FailoverRun
from gates.reaper import reap
from gates.runs import State
from routing.models import Route
from routing.publish import compile_table

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
OPERATOR = Actor("user", "7", "olga")


def queue(**how: object) -> FailoverRun:
    facts = {"route": "demo", "engine": "hf-demo", "other": "hf-demo-b", "plan": Plan(), **how}
    return actions.create(**facts, actor=OPERATOR, hand_to_worker=False)


def staged() -> FailoverRun:
    run = queue()
    actions.begin(run.pk, timezone.now())
    actions.stage(run.pk, "http://127.0.0.1:9999")
    run.refresh_from_db()
    return run


def names() -> tuple[set[str], set[str]]:
    table = compile_table(1)
    return set(table.engines), set(table.routes)


def test_the_stand_in_gets_a_route_of_its_own_and_the_real_route_stays(demo_route: Route) -> None:
    before = demo_route.current().members
    run = staged()
    table = compile_table(1)
    name = actions.stage_name(run.pk)
    assert [(member.engine, member.role, member.weight) for member in table.routes[name].members] == [
        (name, "split", 100), ("hf-demo-b", "standby", 0),
    ]  # fmt: skip
    assert table.engines[name].replicas[0].url == "http://127.0.0.1:9999"
    assert Route.objects.get(name="demo").current().members == before


def test_the_end_removes_the_stage_and_is_in_the_audit(demo_route: Route) -> None:
    run = staged()
    actions.finish(run.pk, State.PASSED, "well", timezone.now(), {"findings": []})
    assert names() == ({"hf-demo", "hf-demo-b"}, {"demo"})
    audited = list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
    assert [action for action in audited if "failover" in action] == ["failover.create", "failover.passed"]
    actions.finish(run.pk, State.ERRORED, "late", timezone.now())
    assert FailoverRun.objects.get().state == "passed"


def test_what_a_killed_process_leaves_is_swept_up(demo_route: Route) -> None:
    run = staged()
    reap(timezone.now())
    assert names()[1] == {"demo", actions.stage_name(run.pk)}
    reap(timezone.now() + actions.LEASE + timedelta(seconds=1))
    assert names() == ({"hf-demo", "hf-demo-b"}, {"demo"})
    assert FailoverRun.objects.get().state == "interrupted"
    with pytest.raises(NotRunning):
        actions.beat(run.pk, "still here", timezone.now())


def test_a_run_that_no_worker_takes_ends(demo_route: Route) -> None:
    queue()
    reap(timezone.now() + timedelta(minutes=11))
    assert FailoverRun.objects.get().state == "errored"


@pytest.mark.parametrize(
    "pair", [("demo", "hf-demo", "hf-demo"), ("demo", "hf-demo", "nobody"), ("none", "hf-demo", "hf-demo-b")]
)
def test_only_two_engines_of_one_route_are_a_pair(demo_route: Route, pair: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidPair):
        queue(route=pair[0], engine=pair[1], other=pair[2])


def test_a_drained_engine_and_a_second_run_are_refused(demo_route: Route, make_engine: Callable[..., Engine]) -> None:
    Engine.objects.filter(name="hf-demo-b").update(state="draining")
    with pytest.raises(InvalidPair, match="draining"):
        queue()
    Engine.objects.update(state="active")
    queue()
    with pytest.raises(InvalidPair, match="Another"):
        queue()


def test_a_plan_without_faults_or_with_heavy_load_is_refused(demo_route: Route) -> None:
    for plan in (Plan(scenarios=()), Plan(scenarios=(Scenario.STOP, Scenario.STOP)), Plan(rate=50), Plan(fault=900)):
        with pytest.raises(InvalidPlan):
            queue(plan=plan)


def test_a_run_is_begun_once(demo_route: Route) -> None:
    run = queue()
    assert actions.plan_of(actions.begin(run.pk, timezone.now())) == Plan()
    with pytest.raises(NotRunning):
        actions.begin(run.pk, timezone.now())


def test_a_cancel_ends_a_queued_run_and_asks_a_running_one(demo_route: Route) -> None:
    run = queue()
    actions.request_cancel(run, actor=OPERATOR)
    run.refresh_from_db()
    assert run.state == "cancelled"
    with pytest.raises(NotRunning):
        actions.request_cancel(run, actor=OPERATOR)
    running = staged()
    actions.request_cancel(running, actor=OPERATOR)
    assert actions.beat(running.pk, "calm", timezone.now())
