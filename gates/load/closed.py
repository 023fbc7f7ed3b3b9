"""STEP: a closed loop. Each level keeps so many requests under way; latency from the send, it cannot show queueing."""

import asyncio
from time import monotonic

from gates.load.flight import Flight
from gates.load.plan import PhasePlan
from gates.load.samples import Sample
from gates.policy import Step

TICK_SECONDS = 0.02
REST_SECONDS = 0.1  # after a failure, so that a dead engine is not asked a thousand times a second
RAMP_SHARE = 0.25  # of a level's length: the longest that its new workers are staggered over


class Levels:
    """The level that the workers are at. Workers only ever get more: levels rise."""

    def __init__(self, plan: PhasePlan, flight: Flight) -> None:
        self.level = 0
        self.plan, self.flight = plan, flight
        self._numbers: dict[int, int] = {}
        self._ramping = False
        self._running: set[int] = set()  # indexes under way
        self._completed = 0
        self._latencies: list[float] = []
        self._workers: list[asyncio.Task[None]] = []

    async def run(self, level: int, step: Step) -> float:
        """One level to its end; returns the seconds that it was at full concurrency."""
        flight = self.flight
        flight.transitions |= self._running
        mean = sum(self._latencies) / len(self._latencies) if self._latencies else 0.0
        self.level = flight.progress.level = level
        self._completed, self._latencies, self._ramping = 0, [], True
        await self._ramp(level - len(self._workers), min(mean, RAMP_SHARE * step.level_seconds))
        self._ramping = False
        began = monotonic()
        while not flight.over.is_set():
            passed = monotonic() - began
            if passed >= step.level_cap_seconds:
                break
            if passed >= step.level_seconds and self._completed >= step.level_completions:
                break
            await asyncio.sleep(TICK_SECONDS)
        return monotonic() - began

    def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()

    async def _ramp(self, more: int, seconds: float) -> None:
        """New workers start one after the other, so that a level does not begin with a burst."""
        for place in range(more):
            if self.flight.over.is_set():
                return
            worker = asyncio.ensure_future(self._work())
            worker.add_done_callback(self._ended)
            self._workers.append(worker)
            if place < more - 1:
                await asyncio.sleep(seconds / more)

    async def _work(self) -> None:
        flight, setting = self.flight, self.flight.setting
        while not flight.over.is_set():
            number = self._numbers.get(self.level, 0)
            self._numbers[self.level] = number + 1
            planned = self.plan.step_request(self.level, number)
            messages = setting.prompts.messages(planned.prompt_id, setting.attempt)
            self._running.add(planned.index)
            if self._ramping and len(self._workers) < self.level:
                flight.transitions.add(planned.index)
            began = monotonic()
            flight.progress.offered += 1
            sample = await asyncio.shield(flight.send(planned, messages, flight.now()))
            self._running.discard(planned.index)
            self._count(sample, monotonic() - began)
            if sample.failed:
                await asyncio.sleep(REST_SECONDS)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self.flight.fail(error)

    def _count(self, sample: Sample, seconds: float) -> None:
        if not sample.transition:
            self._completed += 1
            self._latencies.append(seconds)


async def run_levels(plan: PhasePlan, flight: Flight) -> tuple[tuple[int, float], ...]:
    """All levels, rising. Requests still under way at the end are left to the drain: they belong to the top level."""
    step = plan.spec
    assert isinstance(step, Step)  # noqa: S101 - the caller looked
    levels = Levels(plan, flight)
    found: list[tuple[int, float]] = []
    flight.begin()
    try:
        for level in step.levels:
            if flight.over.is_set():
                break
            found.append((level, await levels.run(level, step)))
    finally:
        levels.stop()
    return tuple(found)
