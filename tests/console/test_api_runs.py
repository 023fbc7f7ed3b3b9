"""Gate runs by control API: started, watched, cancelled, resumed, and their reports."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console import retention
from console.models import AuditEvent
from gates import journal
from gates.models import GateRun
from routing.keys import create_key
from routing.models import ApiKey
from tests.console import gate_runs, makers

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
RUNS = "/api/v1/gates/runs"


@pytest.fixture
def caller() -> Client:
    """With the key's secret, and with CSRF checks as a real server has them."""
    _key, secret = create_key("pipeline", scopes=["control"], actor=makers.TESTER, reason="for a test")
    return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {secret}"})


def start(caller: Client, **body: Any) -> Any:
    return caller.post(RUNS, json.dumps(body), content_type="application/json")


def error_of(answer: Any) -> dict[str, str]:
    return answer.json()["error"]


def test_it_queues_a_run_in_the_name_of_the_key(caller: Client) -> None:
    makers.engine()
    gate_runs.policy()
    answer = start(caller, policy="small", engine="hf-demo", note="nightly build 7")
    assert answer.status_code == 202
    run = GateRun.objects.get(pk=answer.json()["run"])
    assert (run.state, run.target_kind, run.target, run.note) == ("queued", "engine", "hf-demo", "nightly build 7")
    event = AuditEvent.objects.get(action="gate.create")
    key = ApiKey.objects.get()
    assert (event.actor_kind, event.actor_id, event.actor_name) == ("key", str(key.pk), "pipeline")
    shown = caller.get(answer.json()["url"]).json()
    assert (shown["state"], shown["verdict"], shown["policy"], shown["phases"]) == ("queued", None, "small", [])


def test_it_tests_a_route_too(caller: Client) -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    gate_runs.policy()
    assert start(caller, policy="small", route="demo").status_code == 202
    assert GateRun.objects.get().target_kind == "route"


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"policy": "small"}, 422, "invalid_request", "either an engine or a route"),
        ({"policy": "small", "engine": "hf-demo", "route": "demo"}, 422, "invalid_request", "either"),
        ({"policy": "small", "engine": "nobody"}, 404, "unknown_target", "nobody"),
        ({"policy": "missing", "engine": "hf-demo"}, 404, "unknown_policy", "missing"),
        ({"policy": "small", "engine": "hf-demo", "speed": 9}, 422, "invalid_request", "speed"),
        ({"policy": "small", "engine": 7}, 422, "invalid_request", "engine"),
        ({"policy": "small", "engine": "hf-demo", "note": "n" * 501}, 422, "invalid_request", "note"),
    ],
)
def test_a_bad_body_is_refused_in_words(
    caller: Client, body: dict[str, Any], status: int, code: str, word: str
) -> None:
    makers.engine()
    gate_runs.policy()
    answer = start(caller, **body)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert word in error_of(answer)["message"]
    assert not GateRun.objects.exists()


@pytest.mark.parametrize("raw", ["{", "[]", "7", '"text"', ""])
def test_what_is_no_json_object_is_refused(caller: Client, raw: str) -> None:
    answer = caller.post(RUNS, raw, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert error_of(answer)["message"]


def test_it_shows_the_phases_and_the_verdict_of_a_finished_run(caller: Client) -> None:
    makers.engine()
    run = gate_runs.finished()
    shown = caller.get(f"{RUNS}/{run.pk}").json()
    assert (shown["state"], shown["verdict"], shown["reason"]) == (run.state, run.verdict, run.reason)
    assert [(row["phase"], row["attempt"], row["kept"]) for row in shown["phases"]] == [("spike", 1, True)]


def test_report_and_samples_of_a_finished_run_are_given(caller: Client) -> None:
    makers.engine()
    run = gate_runs.finished()
    report = caller.get(f"{RUNS}/{run.pk}/report.json").json()
    assert report["verdict"] == run.verdict
    lines = caller.get(f"{RUNS}/{run.pk}/samples.jsonl").getvalue().splitlines()
    assert len(lines) == gate_runs.SMALL.spike.planned
    assert json.loads(lines[0])["phase"] == "spike"


@pytest.mark.parametrize("name", ["report.json", "samples.jsonl"])
def test_what_needs_samples_is_gone_with_them(caller: Client, name: str) -> None:
    makers.engine()
    run = gate_runs.finished()
    GateRun.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(days=91))
    retention.thin(timezone.now())
    answer = caller.get(f"{RUNS}/{run.pk}/{name}")
    assert (answer.status_code, error_of(answer)["code"]) == (410, "samples_deleted")
    assert caller.get(f"{RUNS}/{run.pk}").json()["verdict"] == run.verdict


def test_a_run_that_goes_on_has_no_report_yet(caller: Client) -> None:
    makers.engine()
    run, _fence = gate_runs.running()
    answer = caller.get(f"{RUNS}/{run.pk}/report.json")
    assert (answer.status_code, error_of(answer)["code"]) == (409, "not_finished")


def test_it_cancels_a_queued_run_and_says_when_there_is_nothing_to_cancel(caller: Client) -> None:
    makers.engine()
    run = gate_runs.queued()
    assert caller.post(f"{RUNS}/{run.pk}/cancel").json()["state"] == "cancelled"
    assert AuditEvent.objects.filter(action="gate.cancel", actor_kind="key").count() == 1
    again = caller.post(f"{RUNS}/{run.pk}/cancel")
    assert (again.status_code, error_of(again)["code"]) == (409, "wrong_state")


def test_it_resumes_an_interrupted_run_only(caller: Client) -> None:
    makers.engine()
    run, _fence = gate_runs.running()
    assert error_of(caller.post(f"{RUNS}/{run.pk}/resume"))["code"] == "wrong_state"
    GateRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert journal.bury(GateRun.objects.get(pk=run.pk), "gone", timezone.now())
    assert caller.post(f"{RUNS}/{run.pk}/resume").json()["state"] == "queued"
    assert AuditEvent.objects.filter(action="gate.resume", actor_kind="key").count() == 1


@pytest.mark.parametrize("path", ["", "/cancel", "/resume", "/report.json", "/samples.jsonl"])
def test_an_unknown_run_is_said_to_be_unknown(caller: Client, path: str) -> None:
    call = caller.post if path in ("/cancel", "/resume") else caller.get
    answer = call(f"{RUNS}/4711{path}")
    assert (answer.status_code, error_of(answer)["message"]) == (404, "There is no gate run 4711.")
