"""The live page of a run: what it shows at each moment, its points, abort and resume."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.models import AuditEvent, User
from gates import actions, journal
from gates.load.samples import from_lines
from gates.models import GatePoint, GateRun
from gates.runs import State
from tests.console import gate_runs, makers

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


@pytest.fixture(autouse=True)
def engine() -> None:
    makers.engine()


def page(client: Client, run: GateRun) -> str:
    return client.get(reverse("console:gate-run", args=[run.pk])).content.decode()


def points(client: Client, run: GateRun, after: int = 0) -> dict:
    return client.get(reverse("console:gate-run-points", args=[run.pk]), {"after": after}).json()


def test_a_running_run_shows_its_phase_and_what_would_be_judged(client_of: ClientOf, operator: User) -> None:
    run, _ = gate_runs.running()
    shown = page(client_of(operator), run)
    for words in ("Running", "SPIKE", "1 of 1", "Pass so far", "Abort load", "TTFT P95"):
        assert words in shown


def test_a_viewer_has_neither_abort_nor_resume(client_of: ClientOf, viewer: User) -> None:
    run, _ = gate_runs.running()
    shown = page(client_of(viewer), run)
    assert "Running" in shown
    assert "Abort" not in shown
    assert client_of(viewer).post(reverse("console:gate-run-abort", args=[run.pk])).status_code == 403


def test_points_come_once_and_a_late_joiner_gets_all_of_them(client_of: ClientOf, viewer: User) -> None:
    run, fence = gate_runs.running(points=5)
    client = client_of(viewer)
    first = points(client, run)
    assert [point["t"] for point in first["points"]] == [1, 2, 3, 4, 5]
    assert first["active"]
    assert points(client, run, first["last"])["points"] == []
    journal.append(None, run.pk, fence, samples=[], point=gate_runs.point(6), now=timezone.now())
    assert [point["t"] for point in points(client, run, first["last"])["points"]] == [6]
    assert len(points(client_of(viewer), run)["points"]) == 6


def test_a_long_history_comes_in_buckets_of_ten_seconds(client_of: ClientOf, viewer: User) -> None:
    run, _ = gate_runs.running(points=0)
    at = timezone.now()
    GatePoint.objects.bulk_create(
        GatePoint(run=run, at=at, phase="spike", body=gate_runs.point(t, ttft_p95=float(t % 10))) for t in range(2000)
    )
    answer = points(client_of(viewer), run)
    assert (answer["seconds"], len(answer["points"])) == (10, 200)
    assert {point["ttft_p95"] for point in answer["points"]} == {9.0}


def test_abort_asks_the_process_to_stop_and_the_audit_knows_who(client_of: ClientOf, operator: User) -> None:
    run, _ = gate_runs.running()
    client_of(operator).post(reverse("console:gate-run-abort", args=[run.pk]))
    run.refresh_from_db()
    assert run.cancel_requested_at is not None
    newest = AuditEvent.objects.order_by("-sequence").first()
    assert (newest.action, newest.actor_name) == ("gate.cancel", "operator-1")
    assert "Abort load" not in page(client_of(operator), run)


def test_an_abort_that_comes_too_late_says_so(client_of: ClientOf, operator: User) -> None:
    run = gate_runs.finished()
    answer = client_of(operator).post(reverse("console:gate-run-abort", args=[run.pk]), follow=True)
    assert "nothing to cancel" in answer.content.decode()


def test_an_interrupted_run_says_why_and_goes_on_by_one_click(client_of: ClientOf, operator: User) -> None:
    run, _ = gate_runs.running()
    journal.abandon(run.pk, "host:1", "Its process ended with code -9.", timezone.now())
    shown = page(client_of(operator), run)
    for words in ("Interrupted", "Its process ended with code -9.", "cut off", f"Resume run {run.pk}"):
        assert words in shown
    client_of(operator).post(reverse("console:gate-run-resume", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_a_queued_run_says_that_the_broker_is_down(client_of: ClientOf, viewer: User) -> None:
    run = gate_runs.queued()
    GateRun.objects.filter(pk=run.pk).update(reason=actions.BROKER_DOWN, published_at=None)
    shown = page(client_of(viewer), run)
    assert actions.BROKER_DOWN in shown
    assert "No second has been measured yet" in shown


def test_a_queued_run_that_nobody_takes_says_that_too(client_of: ClientOf, viewer: User) -> None:
    run = gate_runs.queued()
    GateRun.objects.filter(pk=run.pk).update(state_since=timezone.now() - timedelta(seconds=40))
    assert "No worker has taken it up for 40 s." in page(client_of(viewer), run)


def test_a_silent_run_is_not_shown_as_healthy(client_of: ClientOf, viewer: User) -> None:
    run, _ = gate_runs.running()
    GateRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=5))
    assert "has been silent since" in page(client_of(viewer), run)


def test_a_judged_run_shows_verdict_reason_and_grades_and_asks_no_more(client_of: ClientOf, viewer: User) -> None:
    run = gate_runs.finished(failed=20)
    shown = page(client_of(viewer), run)
    for words in ("Failed", run.judgement["reason"], "Refuted", "samples.jsonl"):
        assert words in shown
    assert not points(client_of(viewer), run)["active"]
    assert (
        "console:tick-5"
        not in client_of(viewer).get(reverse("console:gate-run-detail", args=[run.pk])).content.decode()
    )


def test_samples_leave_as_one_line_per_request(client_of: ClientOf, viewer: User) -> None:
    run = gate_runs.finished()
    answer = client_of(viewer).get(reverse("console:gate-samples", args=[run.pk]))
    found = from_lines(b"".join(answer.streaming_content))
    assert [sample.index for sample in found] == list(range(gate_runs.SMALL.spike.planned))


@pytest.mark.parametrize(
    ("form", "kind", "says"),
    [
        ("html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("json", "application/json", b'"verdict"'),
        ("md", "text/markdown; charset=utf-8", b"#"),
        ("xml", "application/xml", b"<testsuites"),
    ],
)
def test_a_report_leaves_in_each_form(client_of: ClientOf, viewer: User, form: str, kind: str, says: bytes) -> None:
    answer = client_of(viewer).get(reverse("console:gate-report", args=[gate_runs.finished().pk, form]))
    assert (answer.status_code, answer["Content-Type"]) == (200, kind)
    assert says in answer.content


def test_a_run_that_has_not_ended_has_no_report(client_of: ClientOf, viewer: User) -> None:
    run, _ = gate_runs.running()
    assert client_of(viewer).get(reverse("console:gate-report", args=[run.pk, "json"])).status_code == 404
    assert client_of(viewer).get(reverse("console:gate-report", args=[run.pk, "exe"])).status_code == 404
