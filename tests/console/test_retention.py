"""What piles up is deleted: samples of old gate runs go in slices, what was judged and what is evidence stays."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console import retention
from console.models import AuditEvent, User
from gates import actions, journal, outputs, release_actions, thinning
from gates.load.samples import from_lines
from gates.models import GateEvent, GatePoint, GateRun, Release, SampleBatch
from gates.runs import State
from routing.models import Route
from tests.console import gate_runs, makers
from tests.gates.releases.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
ClientOf = Callable[[User], Client]
NOW = timezone.now()
OLD = timedelta(days=91)


@pytest.fixture
def engine() -> None:
    makers.engine()


@pytest.fixture
def old(engine: None) -> GateRun:
    return aged(gate_runs.finished(failed=20))


@pytest.fixture
def gone(old: GateRun) -> GateRun:
    retention.prune(NOW)
    assert rows(old) == (0, 0)
    return old


def aged(run: GateRun, age: timedelta = OLD) -> GateRun:
    GateRun.objects.filter(pk=run.pk).update(finished_at=NOW - age)
    return GateRun.objects.get(pk=run.pk)


def rows(run: GateRun) -> tuple[int, int]:
    return SampleBatch.objects.filter(phase__run=run).count(), GatePoint.objects.filter(run=run).count()


def test_samples_and_points_of_an_old_run_go_and_its_judgement_stays(old: GateRun) -> None:
    assert rows(old) == (1, 5)
    retention.prune(NOW)
    assert rows(old) == (0, 0)
    after = GateRun.objects.get(pk=old.pk)
    assert (after.judgement, after.verdict, after.reason) == (old.judgement, old.verdict, old.reason)
    assert after.phases.count() == 1
    assert thinning.gone_since(after) == NOW
    assert AuditEvent.objects.order_by("-sequence").values_list("action", flat=True)[0] == "gate.thin"


def test_a_young_or_running_run_keeps_its_samples(engine: None) -> None:
    young = aged(gate_runs.finished(), timedelta(days=89))
    running, _ = gate_runs.running(begun=NOW - OLD)
    retention.prune(NOW)
    assert rows(young) == rows(running) == (1, 5)


def test_how_long_samples_stay_is_a_setting(old: GateRun, settings: Any) -> None:
    settings.GATE_SAMPLE_DAYS = 365
    retention.prune(NOW)
    assert rows(old) == (1, 5)


def test_a_run_without_samples_is_not_said_to_have_lost_them(engine: None) -> None:
    run = gate_runs.queued()
    actions.request_cancel(run, actor=makers.TESTER)
    aged(run)
    retention.prune(NOW)
    assert thinning.gone_words(run) == ""


def test_a_kept_run_stays_until_somebody_lets_it_go(old: GateRun) -> None:
    thinning.keep(old, actor=makers.TESTER)
    retention.prune(NOW)
    assert rows(old) == (1, 5)
    assert thinning.why_kept(old) == "tester-1 keeps the samples for ever"
    thinning.keep(old, actor=makers.TESTER, on=False)
    assert thinning.why_kept(old) == ""
    retention.prune(NOW)
    assert rows(old) == (0, 0)
    with pytest.raises(thinning.Gone):
        thinning.keep(old, actor=makers.TESTER)


def test_a_run_that_a_release_rests_on_or_once_rested_on_is_never_thinned(demo_route: Route) -> None:
    world = World()
    release = world.start(verdict="failed")
    first = release.gate_run
    sampled(first)
    world.tick()
    release.refresh_from_db()
    assert release.state == "held"
    second = gated_again(release)
    sampled(second)
    for run in (first, second):
        aged(run)
    retention.prune(NOW)
    assert rows(first) == rows(second) == (1, 0)
    assert thinning.why_kept(second) == f"release {release.pk} rests on this run"
    assert thinning.why_kept(first) == "a release rested on this run"


def gated_again(release: Release) -> GateRun:
    run = release_actions.rerun_gate(release, actor=makers.TESTER).gate_run
    GateRun.objects.filter(pk=run.pk).update(state=State.PASSED, verdict="passed")
    return run


def sampled(run: GateRun) -> None:
    phase = run.phases.create(phase="spike", attempt=1, started_at=NOW, kept=True)
    SampleBatch.objects.create(phase=phase, sequence=1, rows=[])


def test_deletion_is_bounded_and_goes_on_the_next_time(old: GateRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SAMPLE_SLICE", 2)
    monkeypatch.setattr(retention, "MOST_SLICES", 1)
    retention.prune(NOW)
    assert rows(old) == (0, 3)
    assert thinning.gone_words(old)  # said from the first slice on
    retention.prune(NOW)
    retention.prune(NOW)
    assert rows(old) == (0, 0)
    assert GateEvent.objects.filter(run=old, kind=thinning.THINNED).count() == 1


def test_nothing_old_costs_few_queries(engine: None, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    gate_runs.finished()
    with django_assert_max_num_queries(6):
        retention.thin(NOW)


def test_an_interrupted_run_whose_samples_are_gone_cannot_be_resumed(engine: None) -> None:
    run, _ = gate_runs.running()
    journal.abandon(run.pk, "host:1", "Its process ended.", NOW)
    aged(run)
    retention.prune(NOW)
    with pytest.raises(actions.WrongState, match="Start a new run"):
        actions.resume(run, actor=makers.TESTER)
    run.refresh_from_db()
    assert run.state == State.INTERRUPTED


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_report_made_of_samples_answers_gone(client_of: ClientOf, viewer: User, gone: GateRun, form: str) -> None:
    answer = client_of(viewer).get(reverse("console:gate-report", args=[gone.pk, form]))
    assert answer.status_code == 410
    said = answer.content.decode()
    assert f"were deleted on {NOW:%Y-%m-%d}" in said
    assert gone.judgement["reason"] in said


def test_the_samples_answer_gone(client_of: ClientOf, viewer: User, gone: GateRun) -> None:
    answer = client_of(viewer).get(reverse("console:gate-samples", args=[gone.pk]))
    assert (answer.status_code, b"were deleted on" in answer.content) == (410, True)


def test_the_short_reports_stay_and_say_so(client_of: ClientOf, viewer: User, old: GateRun) -> None:
    client, junit = client_of(viewer), reverse("console:gate-report", args=[old.pk, "xml"])
    before = client.get(junit).content
    retention.prune(NOW)
    short = client.get(reverse("console:gate-report", args=[old.pk, "md"])).content.decode()
    assert "**Samples gone:**" in short
    assert "Incomplete" not in short
    assert "FAILED" in short
    assert client.get(junit).content == before


def test_the_page_says_that_the_samples_are_gone_and_offers_nothing_that_needs_them(
    client_of: ClientOf, operator: User, gone: GateRun
) -> None:
    shown = client_of(operator).get(reverse("console:gate-run", args=[gone.pk])).content.decode()
    for words in ("were deleted on", "Refuted", "samples deleted", gone.judgement["reason"]):
        assert words in shown
    for words in ("samples.jsonl", "report.html", "What if…", "Keep for ever"):
        assert words not in shown


def test_an_operator_keeps_samples_by_one_click(
    client_of: ClientOf, operator: User, viewer: User, old: GateRun
) -> None:
    address = reverse("console:gate-run-keep", args=[old.pk])
    assert client_of(viewer).post(address, {"on": "1"}).status_code == 403
    shown = client_of(operator).post(address, {"on": "1"}, follow=True).content.decode()
    assert "operator-1 keeps the samples for ever" in shown
    retention.prune(NOW)
    assert rows(old) == (1, 5)
    assert "90 days after the end" in client_of(operator).post(address, follow=True).content.decode()


def test_what_if_and_compare_say_what_they_cannot_do(client_of: ClientOf, viewer: User, gone: GateRun) -> None:
    client, other = client_of(viewer), gate_runs.finished()
    asked = client.get(reverse("console:gate-what-if", args=[gone.pk]), {"ttft_p95": "9"}).content.decode()
    assert "It cannot be judged again. It was judged failed" in asked
    compared = client.get(reverse("console:gate-compare"), {"a": gone.pk, "b": other.pk}).content.decode()
    assert "Latencies cannot be told apart without samples." in compared


def test_judging_again_says_that_the_samples_are_gone(gone: GateRun) -> None:
    with pytest.raises(CommandError, match=r"were deleted on .* It was judged failed") as refused:
        call_command("gate", "judge", str(gone.pk))
    assert refused.value.returncode == 4


def test_the_signed_statement_stays_but_is_not_proof_by_itself(
    gone: GateRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evidence.json"
    call_command("evidence", "make", str(gone.pk), str(path))
    assert "signed statement alone" in capsys.readouterr().err
    assert json.loads(path.read_bytes())["samples"] is None
    with pytest.raises(CommandError, match="does not hold"):
        call_command("evidence", "verify", str(path))
    said = capsys.readouterr().err
    assert "only the signature is checked" in said
    assert "No signature" not in said


def test_a_run_with_samples_still_gives_them(old: GateRun) -> None:
    assert len(from_lines(outputs.render(old, "samples"))) == gate_runs.SMALL.spike.planned
