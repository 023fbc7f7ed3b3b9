"""Phases that end early, and what a run sees of them meanwhile."""

import asyncio
import time

import pytest

from gates.load.generator import Progress, run_phase, warm_up
from gates.load.plan import build
from gates.load.samples import SampleOutcome
from gates.policy import OpenLoop
from tests.fakes.engine import serve
from tests.gates.load.kit import SPIKE, prompts_of, run, target_of, until, with_changes

LONG = with_changes(SPIKE, spike=OpenLoop(rate=40, seconds=30), request_timeout=20)


async def test_a_cancelled_phase_closes_its_sockets_and_invents_no_samples():
    stop = asyncio.Event()
    with serve(tokens=5, interval=5) as fake:
        running = asyncio.create_task(run(LONG, fake.url, stop=stop))
        await until(lambda: fake.running >= 10)
        began = time.monotonic()
        stop.set()
        result, samples = await running
        assert time.monotonic() - began < 2
        await until(lambda: fake.running == 0, seconds=2)
    assert not result.end.complete
    assert {sample.outcome for sample in samples} == {SampleOutcome.CANCELLED_BY_US}
    assert len(samples) == fake.hits < 1200
    assert any(sample.first_token_ns is not None for sample in samples)
    assert not any(sample.failed for sample in samples)


async def test_a_curtailed_phase_ends_by_itself_and_names_the_objective():
    seen = []

    def curtail(sample):
        seen.append(sample)
        return "error_rate" if sum(one.failed for one in seen) == 2 else ""

    with serve(mode="500") as fake:
        result, samples = await run(LONG, fake.url, curtail=curtail)
    assert result.end.curtailed == "error_rate"
    assert result.end.complete
    assert result.end.planned == 1200
    assert 2 <= len(samples) < 400
    assert result.end.seconds < 30


async def test_samples_come_while_the_phase_runs_and_the_progress_can_be_read():
    batches, progress, levels = [], Progress(), []

    def keep(batch):
        batches.append(batch)
        levels.append((progress.offered, progress.finished, progress.in_flight))

    policy = with_changes(SPIKE, spike=OpenLoop(rate=20, seconds=2.2))
    prompts = prompts_of(policy)

    with serve() as fake:
        async with target_of(fake.url) as target:
            await run_phase(
                build(policy, seed=1, prompts=prompts).phases[0],
                policy=policy, prompts=prompts, target=target, on_samples=keep, progress=progress, attempt=3,
            )  # fmt: skip
    assert len(batches) >= 3
    assert sum(map(len, batches)) == 44
    assert {sample.attempt for batch in batches for sample in batch} == {3}
    assert 0 < levels[0][0] < 44
    assert (progress.offered, progress.sent, progress.finished, progress.in_flight) == (44, 44, 44, 0)


async def test_a_broken_receiver_of_samples_ends_the_phase_with_its_error():
    def refuse(_batch):
        raise RuntimeError("the database is gone")

    prompts = prompts_of(LONG)
    with serve() as fake:
        async with target_of(fake.url) as target:
            with pytest.raises(RuntimeError, match="the database is gone"):
                await run_phase(build(LONG, seed=1, prompts=prompts).phases[0], policy=LONG, prompts=prompts,
                                target=target, on_samples=refuse)  # fmt: skip
        await until(lambda: fake.running == 0)
    assert fake.hits < 200


async def test_the_warm_up_is_marked_and_bounded():
    prompts = prompts_of(SPIKE)
    with serve() as fake:
        async with target_of(fake.url) as target:
            samples = await warm_up(SPIKE, prompts=prompts, target=target, seed=1)
            target.close()
    assert len(samples) == SPIKE.warm_up_requests == fake.hits
    assert all(sample.warmup and sample.outcome is SampleOutcome.OK for sample in samples)


async def test_a_warm_up_that_hangs_ends_at_its_limit():
    policy = with_changes(SPIKE, warm_up_seconds=0.3)
    prompts = prompts_of(policy)
    with serve(mode="hang") as fake:
        async with target_of(fake.url) as target:
            samples = await warm_up(policy, prompts=prompts, target=target, seed=1)
        await until(lambda: fake.running == 0)
    assert [sample.outcome for sample in samples] == [SampleOutcome.CANCELLED_BY_US] * 4
