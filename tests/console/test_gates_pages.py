"""Gates: history, trends, starting a run, comparing two, and judging one again under a draft."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from console import numbers
from console.models import User
from gates import actions
from gates.models import GateRun
from gates.runs import State
from tests.console import gate_runs, makers

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
WHY = "to see whether the new build holds"


def text(client: Client, name: str, *args: object, **given: object) -> str:
    return client.get(reverse(f"console:{name}", args=args), given).content.decode()


def test_without_engines_the_page_says_how_to_begin(client_of: ClientOf, operator: User) -> None:
    page = text(client_of(operator), "gates")
    assert "No gate runs yet" in page
    assert "Register an engine" in page
    assert "No policy is stored" in page
    assert "Start a run" not in page


def test_a_viewer_sees_runs_but_no_button_that_would_refuse(client_of: ClientOf, viewer: User) -> None:
    makers.engine()
    gate_runs.finished()
    page = text(client_of(viewer), "gates")
    assert "All " in page
    assert "Start a run" not in page
    assert "New policy" not in page
    assert client_of(viewer).get(reverse("console:gate-start")).status_code == 403


def test_runs_are_filtered_by_target_policy_and_verdict(client_of: ClientOf, viewer: User) -> None:
    makers.engine("one")
    makers.engine("two")
    passed, failed = gate_runs.finished("one"), gate_runs.finished("two", failed=20)
    assert (passed.state, failed.state) == (State.PASSED, State.FAILED)

    def shown(**given: str) -> list[int]:
        answer = client_of(viewer).get(reverse("console:gate-runs"), given)
        return [line["run"].pk for line in answer.context["lines"]]

    assert shown() == [failed.pk, passed.pk]
    assert shown(target="one") == [passed.pk]
    assert shown(state="failed") == [failed.pk]
    assert shown(policy="other") == []
    assert shown(state="nonsense", before="x") == [failed.pk, passed.pk]


def test_trends_follow_each_objective_over_the_runs_of_one_target(client_of: ClientOf, viewer: User) -> None:
    makers.engine()
    gate_runs.finished(seconds=0.5)
    gate_runs.finished(seconds=0.9)
    answer = client_of(viewer).get(reverse("console:gates"), {"target": "hf-demo", "policy": "small"})
    ttft = next(row for row in answer.context["trends"] if row["name"] == "SPIKE TTFT P95")
    assert (ttft["first"], ttft["last"], ttft["runs"]) == ("500 ms", "900 ms", 2)


def test_an_operator_starts_a_run_with_a_reason(client_of: ClientOf, operator: User) -> None:
    makers.engine()
    version = gate_runs.policy()
    sent = {"target": "engine:hf-demo", "policy": version.pk, "note": WHY}
    answer = client_of(operator).post(reverse("console:gate-start"), sent)
    run = GateRun.objects.get()
    assert answer["Location"] == reverse("console:gate-run", args=[run.pk])
    assert (run.state, run.policy, run.note, run.actor_name) == (State.QUEUED, version, WHY, "operator-1")


def test_a_run_without_a_reason_does_not_start(client_of: ClientOf, operator: User) -> None:
    makers.engine()
    sent = {"target": "engine:hf-demo", "policy": gate_runs.policy().pk, "note": "hm"}
    answer = client_of(operator).post(reverse("console:gate-start"), sent)
    assert answer.status_code == 422
    assert not GateRun.objects.exists()


def test_a_target_with_client_traffic_is_loaded_only_when_that_is_said(client_of: ClientOf, operator: User) -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    client = client_of(operator)
    sent = {"target": "engine:hf-demo", "policy": gate_runs.policy().pk, "note": WHY}
    warned = client.post(reverse("console:gate-start"), sent)
    assert warned.status_code == 422
    assert "100 % of demo" in warned.content.decode()
    assert not GateRun.objects.exists()
    client.post(reverse("console:gate-start"), {**sent, "production": "on"})
    assert GateRun.objects.count() == 1


def test_the_estimate_follows_the_choice(client_of: ClientOf, operator: User) -> None:
    makers.engine()
    asked = {"target": "engine:hf-demo", "policy": gate_runs.policy().pk}
    page = text(client_of(operator), "gate-estimate", **asked)
    assert numbers.number(110 * 128) in page  # tokens out, 10 requests to warm up with them
    assert "not in rotation" in page


def test_two_runs_of_different_plans_are_compared_only_on_demand(client_of: ClientOf, viewer: User) -> None:
    makers.engine()
    a, b = gate_runs.finished(), gate_runs.finished(seconds=0.9)
    GateRun.objects.filter(pk=b.pk).update(judgement={**b.judgement, "plan_digest": "another"})
    client = client_of(viewer)
    page = text(client, "gate-compare", a=a.pk, b=b.pk)
    assert "The plans differ" in page
    assert "not comparable" in page
    assert "worse" in text(client, "gate-compare", a=a.pk, b=b.pk, anyway=1)
    assert "Choose two different runs" in text(client, "gate-compare", a=a.pk, b=a.pk)


def test_what_if_judges_the_stored_samples_and_stores_nothing(client_of: ClientOf, viewer: User) -> None:
    makers.engine()
    run = gate_runs.finished(seconds=0.9)
    draft = {"ttft_p95": 0.5, "e2e_p95": 2, "error_rate": 5, "qps": 2, "qps_ratio": 90, "windows_met": 50}
    answer = client_of(viewer).get(reverse("console:gate-what-if", args=[run.pk]), draft)
    assert answer.context["draft"]["verdict"] == "failed"
    assert "Nothing is stored" in answer.content.decode()
    again = GateRun.objects.get(pk=run.pk)
    assert (again.state, again.judgement) == (State.PASSED, run.judgement)


def test_what_if_names_the_field_that_is_wrong(client_of: ClientOf, viewer: User) -> None:
    makers.engine()
    run = gate_runs.finished()
    answer = client_of(viewer).get(reverse("console:gate-what-if", args=[run.pk]), {"ttft_p95": "soon"})
    assert answer.status_code == 422


def test_the_newest_version_of_a_policy_is_offered(client_of: ClientOf, operator: User) -> None:
    actions.ensure_built_in()
    makers.engine()
    form = client_of(operator).get(reverse("console:gate-start")).context["form"]
    assert [label for _, label in form.fields["policy"].choices] == ["quick v1", "standard v1"]
    assert form["policy"].value() == str(actions.newest("quick").pk)
