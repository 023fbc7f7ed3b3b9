"""The failover pages: who may start one, what a report shows."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from console.models import User
from gates.failover import actions
from gates.failover.execute import Trial
from gates.failover.judge import Pair, judge
from gates.failover.scenarios import Plan
from gates.models import FailoverRun
from gates.runs import State
from gates.writer import Writer
from tests.console import makers
from tests.gates.failover import test_judge as drill

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
ClientOf = Callable[[User], Client]
START = {
    "pair": "demo|hf-demo|hf-demo-b",
    "scenarios": ["stop", "hang"],
    "seconds": "8",
    "reason": "before the release",
}


@pytest.fixture(autouse=True)
def _pair() -> None:
    makers.engine("hf-demo")
    makers.engine("hf-demo-b")
    makers.route("demo", {"hf-demo": 100, "hf-demo-b": 0})


def judged() -> FailoverRun:
    run = actions.create("demo", "hf-demo", "hf-demo-b", Plan(), actor=makers.TESTER, hand_to_worker=False)
    trial = Trial(actions.begin(run.pk, timezone.now()), Writer())
    pair = Pair(engine="hf-demo", stand_in="failover-1-a", other="b", ttft_limit=7, e2e_limit=20)
    trial.samples, trial.spans = [*drill.calm(), *drill.by_other()], [drill.STOP]
    report = judge(trial.samples, trial.spans, pair)
    actions.finish(run.pk, State(report.verdict.value), report.reason, timezone.now(), trial.document(report))
    return FailoverRun.objects.get(pk=run.pk)


def test_an_operator_starts_one(operator: User, client_of: ClientOf) -> None:
    answer = client_of(operator).post("/gates/failover/", START)
    run = FailoverRun.objects.get()
    assert answer["Location"] == f"/gates/failover/{run.pk}/"
    assert (run.engine, run.other, run.plan["scenarios"]) == ("hf-demo", "hf-demo-b", ["stop", "hang"])
    page = client_of(operator).get(f"/gates/failover/{run.pk}/").content.decode()
    assert "every 2s" in page
    assert "Cancel" in page


def test_a_viewer_reads_and_starts_nothing(viewer: User, client_of: ClientOf) -> None:
    client = client_of(viewer)
    assert client.post("/gates/failover/", START).status_code == 403
    page = client.get("/gates/failover/").content.decode()
    assert '<form method="post" novalidate' not in page
    assert not FailoverRun.objects.exists()


@pytest.mark.parametrize("wrong", [{"pair": "demo|x|y"}, {"scenarios": []}, {"seconds": "900"}])
def test_a_wrong_form_comes_back_with_the_reason(operator: User, client_of: ClientOf, wrong: dict[str, object]) -> None:
    assert client_of(operator).post("/gates/failover/", {**START, **wrong}).status_code == 422
    assert not FailoverRun.objects.exists()


def test_a_second_run_waits(operator: User, client_of: ClientOf) -> None:
    client_of(operator).post("/gates/failover/", START)
    answer = client_of(operator).post("/gates/failover/", START)
    assert answer.status_code == 422
    assert "Wait until it has ended" in answer.content.decode()


def test_the_report_says_what_clients_saw(viewer: User, client_of: ClientOf) -> None:
    run = judged()
    page = client_of(viewer).get(f"/gates/failover/{run.pk}/").content.decode()
    assert "No client saw an error." in page
    assert "every 2s" not in page
    report = client_of(viewer).get(f"/gates/failover/{run.pk}/report.json").json()
    assert (report["verdict"], len(report["samples"])) == ("passed", 23)


def test_an_operator_cancels(operator: User, client_of: ClientOf) -> None:
    run = actions.create("demo", "hf-demo", "hf-demo-b", Plan(), actor=makers.TESTER, hand_to_worker=False)
    client_of(operator).post(f"/gates/failover/{run.pk}/cancel/")
    run.refresh_from_db()
    assert run.state == "cancelled"
