"""Who holds a run, and what becomes of it when nobody does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from engines.models import Engine
from gates import actions, journal
from gates.load.samples import Sample, SampleOutcome
from gates.models import GatePoint, GateRun, SampleBatch
from gates.reaper import reap
from gates.runs import State
from gates.writer import Writer
from tests.gates.rows import OPERATOR, queue, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]
NOW = timezone.now()
SAMPLE = Sample(
    index=0, phase="spike", level=None, attempt=1, intended_ns=0, sent_ns=0, first_token_ns=1, end_ns=2,
    outcome=SampleOutcome.OK,
)  # fmt: skip


@pytest.fixture
def run(make_engine: Callable[..., Engine]) -> GateRun:
    return queue(make_engine("hf-demo"))


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_of_many_claims_one_wins(run: GateRun) -> None:
    writer = Writer()

    def claim(holder: str) -> int | None:
        try:
            return writer._patiently(lambda: journal.claim(run.pk, holder, NOW))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        fences = list(pool.map(claim, [f"worker-{number}" for number in range(8)]))
    writer.close()
    assert sorted(fence for fence in fences if fence is not None) == [1]
    assert states(run) == ["preflight"]


def test_a_second_run_of_the_engine_waits_for_the_first_and_says_so(run: GateRun) -> None:
    other = queue(run.target)
    assert journal.claim(run.pk, "a", NOW) == 1
    assert journal.claim(other.pk, "b", NOW) is None
    other.refresh_from_db()
    assert (other.state, other.reason) == ("queued", f"Waits for run {run.pk}, which tests hf-demo.")
    journal.finish(run.pk, 1, State.PREFLIGHT, State.ERRORED, reason="for the test", now=NOW)
    assert journal.claim(other.pk, "b", NOW) == 1


def test_a_run_whose_process_is_silent_is_interrupted_and_what_it_still_writes_is_refused(run: GateRun) -> None:
    fence = journal.claim(run.pk, "a", NOW)
    assert fence is not None
    row = journal.begin_phase(run.pk, fence, "spike", NOW)
    reap(NOW + seconds(49))
    assert journal.heartbeat(run.pk, "a", fence, NOW)
    reap(NOW + seconds(51))
    run.refresh_from_db()
    assert (run.state, run.lease_holder) == ("interrupted", "")
    assert not journal.heartbeat(run.pk, "a", fence, NOW + seconds(52))
    with pytest.raises(journal.LeaseLost):
        journal.append(row, run.pk, fence, samples=[SAMPLE], point={"phase": "spike"}, now=NOW)
    with pytest.raises(journal.LeaseLost):
        journal.move(run.pk, fence, State.PREFLIGHT, State.WARMING, reason="", now=NOW)
    assert not SampleBatch.objects.exists()
    assert not GatePoint.objects.exists()


def test_a_renewed_lease_keeps_the_run(run: GateRun) -> None:
    fence = journal.claim(run.pk, "a", NOW)
    assert fence is not None
    for after in range(5, 200, 5):
        assert journal.heartbeat(run.pk, "a", fence, NOW + seconds(after))
        reap(NOW + seconds(after + 5))
    run.refresh_from_db()
    assert run.state == "preflight"


def test_a_silent_run_that_was_to_be_cancelled_is_cancelled(run: GateRun) -> None:
    journal.claim(run.pk, "a", NOW)
    actions.request_cancel(run, actor=OPERATOR)
    reap(NOW + seconds(60))
    run.refresh_from_db()
    assert (run.state, run.verdict) == ("cancelled", "cancelled")
    assert states(run) == ["preflight", "cancelling", "cancelled"]


def test_a_process_that_is_known_to_be_gone_is_buried_without_waiting(run: GateRun) -> None:
    journal.claim(run.pk, "host:12", NOW)
    assert not journal.abandon(run.pk, "host:99", "another one ended", NOW)
    assert journal.abandon(run.pk, "host:12", "Its process ended with code -9.", NOW)
    run.refresh_from_db()
    assert (run.state, run.reason) == ("interrupted", "Its process ended with code -9.")


def test_a_run_whose_message_was_lost_is_published_again(run: GateRun) -> None:
    GateRun.objects.update(published_at=NOW)
    reap(NOW + seconds(30))
    run.refresh_from_db()
    assert run.published_at == NOW
    reap(NOW + seconds(61))
    run.refresh_from_db()
    assert (run.published_at, run.reason) == (NOW + seconds(61), actions.NO_WORKER)


def test_a_run_that_waited_for_its_engine_is_published_once_it_is_free(run: GateRun) -> None:
    other = queue(run.target)
    fence = journal.claim(run.pk, "a", NOW)
    assert fence is not None
    journal.claim(other.pk, "b", NOW)
    reap(NOW)
    other.refresh_from_db()
    assert other.published_at is None
    journal.finish(run.pk, fence, State.PREFLIGHT, State.ERRORED, reason="for the test", now=NOW)
    reap(NOW)
    other.refresh_from_db()
    assert (other.published_at, other.reason) == (NOW, "")


def test_the_phases_of_a_resumed_run_count_on(run: GateRun) -> None:
    first = journal.claim(run.pk, "a", NOW)
    assert first is not None
    assert journal.begin_phase(run.pk, first, "soak", NOW).attempt == 1
    reap(NOW + seconds(60))
    actions.resume(run, actor=OPERATOR, hand_to_worker=False)
    second = journal.claim(run.pk, "b", NOW)
    assert second is not None
    assert second > first
    assert journal.begin_phase(run.pk, second, "soak", NOW).attempt == 2
