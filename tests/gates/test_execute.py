"""A run in this process against a fake engine: from preflight to the verdict, and every way it can end early."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from engines.models import Engine
from gates import actions, records
from gates.execute import execute
from gates.load.generator import PhaseResult, run_phase
from gates.models import GatePhase, GatePoint, GateRun, SampleBatch
from gates.policy import Objectives, OpenLoop
from tests.fakes.engine import FakeEngine, serve
from tests.gates.rows import GENERATOR, OPERATOR, PACE, TINY, patience, queue, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]
LONG = replace(
    TINY,
    name="long",
    step=None,
    spike=OpenLoop(rate=10, seconds=30),
    soak=None,
    objectives=Objectives(),
    request_timeout=30,
)


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    with serve() as engine:
        yield engine


@pytest.fixture
def engine(make_engine: Callable[..., Engine], fake: FakeEngine) -> Engine:
    made = make_engine("hf-demo", kind="vllm", served_model="m")
    made.replicas.update(url=fake.url)
    return made


async def brought_to_an_end(run: GateRun) -> bool:
    return await execute(run.pk, pace=PACE, generator=GENERATOR)


async def fresh(run: GateRun) -> GateRun:
    return await GateRun.objects.select_related("policy").aget(pk=run.pk)


async def running(run: GateRun, seconds: float = 20) -> None:
    """Until load flows."""
    with patience(seconds) as waiting:
        while waiting() and not await SampleBatch.objects.filter(phase__run=run).aexists():
            await asyncio.sleep(0.05)


async def test_a_run_goes_through_every_state_to_its_verdict(engine: Engine) -> None:
    run = await sync_to_async(queue)(engine)
    assert await brought_to_an_end(run)
    run = await fresh(run)
    assert run.verdict == "passed", run.reason
    passed = await sync_to_async(states)(run)
    assert passed[:3] == ["preflight", "warming", "running"]
    assert passed[-2:] == ["judging", "passed"]
    assert "draining" in passed
    kept = [row async for row in GatePhase.objects.filter(run=run).order_by("pk")]
    assert [(row.phase, row.attempt, row.kept) for row in kept] == [
        ("step", 1, True), ("spike", 1, True), ("soak", 1, True),
    ]  # fmt: skip
    record = await sync_to_async(records.read)(run)
    assert [sample.phase for sample in record.samples].count("spike") == 10
    assert run.fingerprint["engines"][0]["served_model"] == "m"


async def test_the_stored_samples_give_the_same_verdict_and_digest(engine: Engine) -> None:
    run = await sync_to_async(queue)(engine)
    await brought_to_an_end(run)
    run = await fresh(run)
    again = await sync_to_async(records.judged_again)(run)
    assert (again.verdict, again.digest) == (run.verdict, run.judgement["digest"])


async def test_each_second_leaves_a_point_with_both_sides_of_the_load(engine: Engine) -> None:
    run = await sync_to_async(queue)(engine)
    await brought_to_an_end(run)
    bodies = [body async for body in GatePoint.objects.filter(run=run, phase="soak").values_list("body", flat=True)]
    assert bodies
    assert {"t", "offered", "served", "in_flight", "ttft_p95", "queue", "kv_use", "verdict_so_far"} <= bodies[0].keys()
    assert bodies[-1]["verdict_so_far"] == "passing"


async def test_a_second_executor_leaves_the_run_alone(engine: Engine) -> None:
    run = await sync_to_async(queue)(engine)
    first, second = await asyncio.gather(brought_to_an_end(run), brought_to_an_end(run))
    assert sorted([first, second]) == [False, True]
    assert await GatePhase.objects.filter(run=run).acount() == 3


async def test_an_engine_that_fails_one_in_ten_fails_early(engine: Engine, fake: FakeEngine) -> None:
    policy = replace(LONG, name="early")
    run = await sync_to_async(queue)(engine, policy)
    task = asyncio.create_task(brought_to_an_end(run))
    await running(run)
    fake.mode = "eof_mid"
    await asyncio.wait_for(task, 20)
    run = await fresh(run)
    assert run.verdict == "failed"
    assert "error" in run.reason.lower()


async def test_a_slowed_engine_fails_on_the_objective_that_names_it(engine: Engine, fake: FakeEngine) -> None:
    policy = replace(TINY, name="slowed", step=None, soak=None, objectives=replace(TINY.objectives, ttft_p95=0.2))
    run = await sync_to_async(queue)(engine, policy)
    fake.first_delay = 0.4
    await brought_to_an_end(run)
    run = await fresh(run)
    assert run.verdict == "failed"
    failed = {finding["objective"] for finding in run.judgement["findings"] if finding["verdict"] == "failed"}
    assert failed == {"ttft_p95"}
    assert "TTFT" in run.reason


async def test_a_starved_generator_makes_the_run_invalid_and_never_failed(engine: Engine, fake: FakeEngine) -> None:
    async def starve(plan: Any, **how: Any) -> PhaseResult:
        """Something else on the loop's core takes 50 ms of each 60."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def hog() -> None:
            time.sleep(0.05)
            if not over.is_set():
                loop.call_later(0.01, hog)

        hog()
        fake.mode = "500"
        try:
            return await run_phase(plan, **how)
        finally:
            over.set()

    run = await sync_to_async(queue)(engine, replace(TINY, name="starved", step=None, soak=None))
    await execute(run.pk, pace=PACE, generator=replace(GENERATOR, run_phase=starve))
    run = await fresh(run)
    assert run.verdict == "invalid"
    assert "by no fault of the engine" in run.reason


async def test_a_cancel_stops_the_load_and_keeps_the_samples(engine: Engine, fake: FakeEngine) -> None:
    fake.interval = 0.3
    run = await sync_to_async(queue)(engine, LONG)
    task = asyncio.create_task(brought_to_an_end(run))
    await running(run)
    await sync_to_async(actions.request_cancel)(run, actor=OPERATOR)
    await asyncio.wait_for(task, 10)
    run = await fresh(run)
    assert (run.state, run.verdict, fake.running) == ("cancelled", "cancelled", 0)
    assert "0 requests were inside the engine" in run.reason
    assert await SampleBatch.objects.filter(phase__run=run).aexists()
    assert (await sync_to_async(states)(run))[-2:] == ["cancelling", "cancelled"]


async def test_an_engine_that_goes_away_ends_the_run_as_errored(engine: Engine, fake: FakeEngine) -> None:
    policy = replace(LONG, name="gone", mode="diagnose")
    run = await sync_to_async(queue)(engine, policy)
    task = asyncio.create_task(brought_to_an_end(run))
    await running(run)
    await asyncio.to_thread(fake.stop)
    await asyncio.wait_for(task, 20)
    run = await fresh(run)
    assert (run.state, run.verdict) == ("errored", "errored")
    assert "did not answer" in run.reason


async def test_a_run_whose_lease_was_taken_stops_and_writes_nothing_more(engine: Engine) -> None:
    run = await sync_to_async(queue)(engine, LONG)
    task = asyncio.create_task(brought_to_an_end(run))
    await running(run)
    await GateRun.objects.filter(pk=run.pk).aupdate(fence=99, lease_holder="another")
    await asyncio.wait_for(task, 10)
    run = await fresh(run)
    assert (run.state, run.fence) == ("running", 99)
