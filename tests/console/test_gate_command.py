"""`manage.py gate` on rows alone; runs in processes of their own are in tests/gates/test_survival.py."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from engines.models import Engine
from gates import evidence, journal, outputs, records
from gates.judge import to_json
from gates.load.samples import Sample, SampleOutcome, from_lines
from gates.models import GateRun, SampleBatch
from gates.runs import State
from gates.verdict import PhaseEnd
from tests.gates.rows import TINY, fit, queue

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
SECOND = 1_000_000_000


def sample(phase: str, index: int, level: int | None) -> Sample:
    at = index * SECOND // 10
    return Sample(
        index=index, phase=phase, level=level, attempt=1, intended_ns=at, sent_ns=at, first_token_ns=at + SECOND // 5,
        end_ns=at + SECOND, outcome=SampleOutcome.OK, status_code=200,
    )  # fmt: skip


@pytest.fixture
def run(make_engine: Callable[..., Engine]) -> GateRun:
    """A run that went through its phases and was judged."""
    queued, now = queue(make_engine("hf-demo")), timezone.now()
    fence = journal.claim(queued.pk, "test", now)
    assert fence is not None
    for phase, planned, level in (("step", 20, 2), ("spike", 10, None), ("soak", 15, None)):
        row = journal.begin_phase(queued.pk, fence, phase, now)
        samples = [sample(phase, index, level) for index in range(planned)]
        journal.append(row, queued.pk, fence, samples=samples, point=None, now=now)
        levels = ((1, 2.0), (2, 2.0)) if level else ()
        end = PhaseEnd(phase=phase, attempt=1, complete=True, seconds=1.5, planned=planned, level_seconds=levels)
        journal.end_phase(row, fence, end=end, generator=fit(phase), server={}, kept=True, now=now)
    journal.move(queued.pk, fence, State.PREFLIGHT, State.JUDGING, reason="", now=now)
    found = records.judged(GateRun.objects.get(pk=queued.pk))
    after = State(found.verdict.value)
    journal.finish(
        queued.pk, fence, State.JUDGING, after, reason=found.reason, now=now, judgement=to_json(found)
    )  # fmt: skip
    return GateRun.objects.select_related("policy").get(pk=queued.pk)


def test_judging_again_gives_the_same_verdict_and_digest(run: GateRun, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("gate", "judge", str(run.pk))
    assert capsys.readouterr().out.split() == [run.verdict, run.judgement["digest"]]


def test_a_changed_sample_is_found_by_judging_again(run: GateRun) -> None:
    batch = SampleBatch.objects.filter(phase__phase="spike").get()
    batch.rows[0]["end_ns"] += 1
    batch.save()
    with pytest.raises(CommandError, match="It was judged") as refused:
        call_command("gate", "judge", str(run.pk))
    assert refused.value.returncode == 1


def test_a_run_that_was_not_judged_is_no_verdict(make_engine: Callable[..., Engine]) -> None:
    with pytest.raises(CommandError, match="was not judged") as refused:
        call_command("gate", "judge", str(queue(make_engine("other")).pk))
    assert refused.value.returncode == 4


def test_the_list_is_readable_by_programs(run: GateRun, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("gate", "list", "--json")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["run"] == run.pk
    assert json.loads(line)["state"] == run.verdict


def test_a_queued_run_is_cancelled_from_the_command_line(make_engine: Callable[..., Engine]) -> None:
    queued = queue(make_engine("other"))
    call_command("gate", "cancel", str(queued.pk))
    queued.refresh_from_db()
    assert queued.state == "cancelled"
    with pytest.raises(CommandError, match="nothing to cancel"):
        call_command("gate", "cancel", str(queued.pk))


@pytest.mark.parametrize("form", outputs.FORMS)
def test_every_form_of_the_report_says_which_run_it_is_of(run: GateRun, form: str) -> None:
    body = outputs.render(run, form)
    if form == "samples":
        assert len(from_lines(body)) == 45
    elif form == "evidence":
        _envelope, policy, samples = evidence.unpack(body)
        assert (policy, len(samples)) == (TINY, 45)
    else:
        assert run.policy.name in body.decode()


def test_evidence_holds_until_a_sample_is_changed(run: GateRun, tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    call_command("evidence", "make", str(run.pk), str(path))
    call_command("evidence", "verify", str(path))
    path.write_bytes(path.read_bytes().replace(b'"outcome":"ok"', b'"outcome":"timeout"', 1))
    with pytest.raises(CommandError, match="does not hold"):
        call_command("evidence", "verify", str(path))


def test_evidence_of_another_console_does_not_hold_with_our_key(run: GateRun, tmp_path: Path, settings: object) -> None:
    path = tmp_path / "evidence.json"
    call_command("evidence", "make", str(run.pk), str(path))
    settings.EVIDENCE_KEY = "11" * 32  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="does not hold"):
        call_command("evidence", "verify", str(path))
