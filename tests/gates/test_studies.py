"""Studies in this process against fake engines: measured, cancelled, broken, waiting, abandoned."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from engines.models import Engine
from gates import actions, journal, studies, study_journal
from gates import policy as policies
from gates.capacity_run import Options, probe_policy
from gates.models import GateRun, GateStudy
from gates.policy import Objectives
from gates.runs import State as RunState
from gates.study_run import conduct
from gates.study_states import State
from tests.fakes.engine import FakeEngine, serve
from tests.gates.rows import OPERATOR, TINY, patience, queue

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]
SHORT = {"start": 60, "cap": 60, "probe_seconds": 1, "settle_seconds": 0, "least_requests": 60, "policy": "tiny"}


@pytest.fixture
def fakes() -> Iterator[list[FakeEngine]]:
    with serve() as one, serve() as two:
        yield [one, two]


@pytest.fixture(autouse=True)
def engines(make_engine: Callable[..., Engine], fakes: list[FakeEngine]) -> list[Engine]:
    made = [make_engine(name, kind="vllm", served_model="m") for name in ("one", "two")]
    for engine, fake in zip(made, fakes, strict=True):
        engine.replicas.update(url=fake.url)
    actions.create_policy(TINY.name, TINY, actor=OPERATOR, reason="for the test")
    return made


def create(kind: str = "capacity", baseline: str = "", **options: Any) -> GateStudy:
    asked = {**SHORT, **options}
    return studies.create(kind, "one", actor=OPERATOR, options=asked, baseline=baseline, hand_to_worker=False)


async def conducted(study: GateStudy) -> GateStudy:
    assert await conduct(study.pk)
    return await GateStudy.objects.aget(pk=study.pk)


async def test_a_search_stores_its_probes_and_says_what_it_found() -> None:
    study = await conducted(await sync_to_async(create)())
    assert study.state == State.DONE
    assert study.body["probes"][0]["rate"] == 60
    assert study.body["probes"][0]["n"] == 60
    assert study.body["result"]["stop"] in ("cap", "unresolved")
    assert study.reason == study.body["result"]["sentence"]
    assert study.body["subjects"]["one"]["engines"][0]["engine"] == "one"


async def test_an_engine_that_fails_every_request_after_warm_up_fails_at_the_minimum(fakes: list[FakeEngine]) -> None:
    study = await sync_to_async(create)()

    async def turn() -> None:
        with patience(10) as waiting:
            while waiting() and fakes[0].hits < 3:
                await asyncio.sleep(0.01)
        fakes[0].mode = "error_first"

    _, found = await asyncio.gather(turn(), conducted(study))
    assert found.body["probes"][0]["failures"] > 30
    assert found.body["probes"][0]["state"] in ("fail", "unresolved")


async def test_an_engine_that_is_down_ends_the_study_with_that_reason(fakes: list[FakeEngine]) -> None:
    fakes[0].mode = "error_first"
    study = await conducted(await sync_to_async(create)())
    assert study.state == State.ERRORED
    assert "No warm-up request was answered" in study.reason


async def test_two_alike_engines_are_compared_figure_by_figure(fakes: list[FakeEngine]) -> None:
    for fake in fakes:
        fake.first_delay, fake.interval = 0.005, 0.001
    study = await conducted(await sync_to_async(create)("ab", "two", prompts=20))
    result = study.body["result"]
    assert study.state == State.DONE
    assert [row["metric"] for row in result["metrics"]] == ["ttft", "e2e", "tpot"]
    assert [level["rung"] for level in result["ladder"]][:3] == ["holds"] * 3
    assert len(study.body["pairs"]) == len(study.body["own_pairs"]) == 20
    assert "text" not in study.body["pairs"][0]["base"]
    assert "ABBA" in result["order"]


async def test_a_candidate_ten_times_as_slow_that_answers_otherwise_is_found_out(fakes: list[FakeEngine]) -> None:
    fakes[0].first_delay, fakes[1].first_delay = 0.1, 0.01
    fakes[0].text = "something else"
    study = await conducted(await sync_to_async(create)("ab", "two", prompts=20))
    result = study.body["result"]
    assert result["word"] == "worse"
    assert result["metrics"][0]["ratio"]["low"] > 2
    assert result["ladder"][2]["rung"] == "broken"


async def test_a_cancel_stops_the_load_and_keeps_what_was_measured(fakes: list[FakeEngine]) -> None:
    study = await sync_to_async(create)(probe_seconds=30, least_requests=1800)

    async def cancel() -> None:
        with patience(20) as waiting:
            while waiting() and fakes[0].hits < 30:
                await asyncio.sleep(0.02)
        await sync_to_async(studies.request_cancel)(await GateStudy.objects.aget(pk=study.pk), actor=OPERATOR)

    _, found = await asyncio.gather(cancel(), conducted(study))
    assert found.state == State.CANCELLED
    assert "result" not in found.body
    assert fakes[0].hits < 1000


def test_a_study_waits_for_a_gate_run_on_its_engine_and_starts_after_it() -> None:
    run = queue("one", TINY)
    fence = journal.claim(run.pk, "host:1", timezone.now())
    study = create()
    assert not study_journal.claim(study.pk, "host:2", timezone.now())
    study.refresh_from_db()
    assert (study.state, study.reason) == (State.QUEUED, f"Waits for run {run.pk}, which tests one.")
    journal.finish(run.pk, fence, RunState.PREFLIGHT, RunState.ERRORED, reason="x", now=timezone.now())
    assert study_journal.claim(study.pk, "host:2", timezone.now())
    assert not study_journal.claim(create().pk, "host:3", timezone.now())


def test_a_gate_run_waits_for_a_study_on_its_engine() -> None:
    study, run = create(), queue("one", TINY)
    assert study_journal.claim(study.pk, "host:1", timezone.now())
    assert journal.claim(run.pk, "host:2", timezone.now()) is None
    run.refresh_from_db()
    assert run.reason == f"Waits for study {study.pk}, which loads one."
    assert study_journal.finish(study.pk, "host:1", State.DONE, reason="", now=timezone.now())
    assert journal.claim(run.pk, "host:2", timezone.now())


def test_a_silent_process_is_given_up_and_can_write_no_more() -> None:
    study, now = create(), timezone.now()
    assert study_journal.claim(study.pk, "host:1", now)
    studies.reap(now + timedelta(seconds=30))
    assert GateStudy.objects.get(pk=study.pk).state == State.RUNNING
    studies.reap(now + timedelta(seconds=61))
    study.refresh_from_db()
    assert (study.state, "fell silent" in study.reason) == (State.ERRORED, True)
    assert not study_journal.beat(study.pk, "host:1", now, {"probes": []})
    assert not study_journal.finish(study.pk, "host:1", State.DONE, reason="late", now=now)


def test_a_queued_study_is_sent_once_a_minute_and_says_when_no_worker_takes_it() -> None:
    study = studies.create("capacity", "one", actor=OPERATOR, options=SHORT)
    now = timezone.now()
    study.refresh_from_db()
    if study.reason == actions.BROKER_DOWN:
        pytest.fail("the test broker is in memory")
    assert study.beat_at is not None
    assert studies.publish(study, now + timedelta(seconds=61))
    study.refresh_from_db()
    assert study.reason == actions.NO_WORKER


def test_unknown_engines_and_an_engine_against_itself_are_refused() -> None:
    for given in ({"target": "none"}, {"target": "one", "baseline": "one"}):
        with pytest.raises(actions.UnknownTarget):
            studies.create("ab", actor=OPERATOR, options={}, hand_to_worker=False, **given)
    assert not GateStudy.objects.exists()
    assert not GateRun.objects.exists()


def test_the_probe_policy_never_blames_the_cap_of_requests_in_flight() -> None:
    made = probe_policy(policies.STANDARD, 64, 20)
    assert made.in_flight_cap >= 64 * Objectives().e2e_p95
    assert made.phases == (policies.Phase.SOAK,)
    assert Options().seconds(1) == 120
    assert Options().seconds(64) == 20
