"""STEP: so many under way at each level, staggered starts, and requests that span two levels marked."""

import asyncio

from gates.load.plan import LEVEL_STRIDE, SECOND
from gates.load.samples import SampleOutcome
from gates.policy import Policy, Step, Workload
from tests.fakes.engine import serve
from tests.gates.load.kit import run, until, with_changes

STEP = Policy(
    name="test", spike=None, soak=None, workload=Workload(output_tokens=4), drain_seconds=3, request_timeout=5,
    step=Step(levels=(1, 2, 4), level_seconds=0.4, level_completions=4, level_cap_seconds=3),
)  # fmt: skip


def at_once(samples):
    """The most requests under way at one moment."""
    moments = [(sample.sent_ns, 1) for sample in samples] + [(sample.end_ns, -1) for sample in samples]
    under_way = most = 0
    for _, change in sorted(moments):
        under_way += change
        most = max(most, under_way)
    return most


async def test_each_level_keeps_its_number_under_way():
    with serve(tokens=4, interval=0.02) as fake:
        result, samples = await run(STEP, fake.url)
    assert [level for level, _ in result.end.level_seconds] == [1, 2, 4]
    assert all(seconds >= 0.4 for _, seconds in result.end.level_seconds)
    for level in (1, 2, 4):
        own = [sample for sample in samples if sample.level == level]
        assert at_once(own) <= level
        assert sum(not sample.transition for sample in own) >= 4
    assert at_once(samples) == 4
    assert {sample.outcome for sample in samples} == {SampleOutcome.OK}
    assert len({sample.index for sample in samples}) == len(samples) == result.end.planned == fake.hits


async def test_a_level_lasts_until_it_has_its_completions_or_reaches_its_cap():
    slow = with_changes(STEP, step=Step(levels=(1,), level_seconds=0.1, level_completions=5, level_cap_seconds=5))
    capped = with_changes(STEP, step=Step(levels=(1,), level_seconds=0.1, level_completions=500, level_cap_seconds=0.5))
    with serve(tokens=2, first_delay=0.1) as fake:
        result, samples = await run(slow, fake.url)
        short, _ = await run(capped, fake.url)
    assert len(samples) >= 5
    assert result.end.level_seconds[0][1] >= 0.5
    assert 0.5 <= short.end.level_seconds[0][1] < 25


async def test_requests_that_span_two_levels_are_transitions_but_the_last_ones_are_not():
    policy = with_changes(STEP, step=Step(levels=(2, 4), level_seconds=0.35, level_completions=1, level_cap_seconds=2))
    with serve(tokens=2, first_delay=0.25) as fake:
        _, samples = await run(policy, fake.url)
    low = [sample for sample in samples if sample.level == 2]
    assert any(sample.transition for sample in low)
    first_high = min(sample.sent_ns for sample in samples if sample.level == 4 and not sample.transition)
    assert all(sample.end_ns <= first_high for sample in low if not sample.transition)
    last = max(samples, key=lambda sample: sample.end_ns)
    assert not last.transition


async def test_latency_is_counted_from_the_send_and_the_sequence_from_nought():
    with serve(tokens=2) as fake:
        result, samples = await run(STEP, fake.url)
    assert all(0 <= sample.sent_ns - sample.intended_ns < SECOND for sample in samples if sample.level == 1)
    assert [sample.index for sample in samples if sample.level == 1][:3] == [0, 1, 2]
    assert min(sample.index for sample in samples if sample.level == 4) == 2 * LEVEL_STRIDE
    assert result.health.lag_p99 is None
    assert result.health.achieved_ratio is None


async def test_a_dead_engine_is_not_asked_in_a_frenzy():
    with serve(mode="500") as fake:
        _, samples = await run(STEP, fake.url)
    assert len(samples) == fake.hits < 4 * 10 * 4


async def test_a_cancelled_step_ends_at_once():
    stop = asyncio.Event()
    with serve(tokens=4, interval=5) as fake:
        running = asyncio.create_task(run(STEP, fake.url, stop=stop))
        await until(lambda: fake.running >= 1)
        stop.set()
        result, samples = await asyncio.wait_for(running, 2)
        await until(lambda: fake.running == 0, seconds=2)
    assert not result.end.complete
    assert [sample.outcome for sample in samples] == [SampleOutcome.CANCELLED_BY_US]
