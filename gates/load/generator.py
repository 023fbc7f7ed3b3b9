"""Runs one phase: sends what the plan says when it says so, and follows every request to its outcome.

One asyncio loop in a process of its own. Open loops never slow down, skip, re-anchor or retry; what the cap of requests
in flight keeps back is recorded as not_sent. `stop` ends the load within two seconds.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

from gates.load.closed import run_levels
from gates.load.flight import Curtail, Flight, OnSamples, Progress, Setting
from gates.load.health import LAG_P99, Gauge, judge_health
from gates.load.plan import SECOND, PhasePlan, Planned
from gates.load.samples import Sample, SampleOutcome
from gates.load.target import Target
from gates.load.workload import PromptSource
from gates.policy import OpenLoop, Phase, Policy
from gates.verdict import GeneratorHealth, PhaseEnd

__all__ = ["PhaseResult", "Progress", "run_phase", "warm_up"]

LEAD_NS = 50_000_000  # between the start of a phase and its first request
WARM_UP_CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class PhaseResult:
    end: PhaseEnd
    health: GeneratorHealth


async def run_phase(
    plan: PhasePlan,
    *,
    policy: Policy,
    prompts: PromptSource,
    target: Target,
    on_samples: OnSamples,
    curtail: Curtail | None = None,
    stop: asyncio.Event | None = None,
    attempt: int = 1,
    progress: Progress | None = None,
) -> PhaseResult:
    """Samples reach `on_samples` about each second, all of them before this returns.

    `complete` is False only after `stop`: a curtailed phase has ended by itself.
    """
    setting = Setting(
        policy=policy, prompts=prompts, target=target, on_samples=on_samples, curtail=curtail, stop=stop,
        attempt=attempt, progress=progress,
    )  # fmt: skip
    flight = Flight(setting, plan.phase)
    with _quiet_collector():
        async with Gauge() as gauge:
            watching = asyncio.ensure_future(flight.watch())
            try:
                result = await (_open(plan, flight, gauge) if plan.requests else _closed(plan, flight, gauge))
            finally:
                watching.cancel()
                await flight.abandon(SampleOutcome.CANCELLED_BY_US)
                target.close()
    flight.flush()
    flight.check()
    return result


async def warm_up(
    policy: Policy,
    *,
    prompts: PromptSource,
    target: Target,
    seed: int,
    stop: asyncio.Event | None = None,
    attempt: int = 1,
) -> list[Sample]:
    """A few requests with prompts of their own, four at a time; never judged. Returns their samples."""
    kept: list[Sample] = []
    phase = policy.phases[0]
    setting = Setting(
        policy=policy, prompts=prompts, target=target, on_samples=kept.extend, stop=stop, attempt=attempt, warmup=True
    )
    flight = Flight(setting, phase)
    chosen = [prompts.choose_warm_up(index) for index in range(policy.warm_up_requests)]
    left = iter([Planned(i, phase, None, 0, one.prompt_id, seed, one.max_tokens) for i, one in enumerate(chosen)])

    async def work() -> None:
        for planned in left:
            if flight.over.is_set():
                return
            await flight.send(planned, prompts.messages(planned.prompt_id, attempt), flight.now())

    watching, over = asyncio.ensure_future(flight.watch()), asyncio.ensure_future(flight.over.wait())
    working = asyncio.gather(*[work() for _ in range(WARM_UP_CONCURRENCY)])
    try:
        either: set[asyncio.Future[Any]] = {working, over}
        await asyncio.wait(either, timeout=policy.warm_up_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        flight.over.set()
        await flight.abandon(SampleOutcome.CANCELLED_BY_US)
        watching.cancel()
    await working
    flight.flush()
    flight.check()
    return kept


async def _open(plan: PhasePlan, flight: Flight, gauge: Gauge) -> PhaseResult:
    spec = plan.spec
    assert isinstance(spec, OpenLoop)  # noqa: S101 - only open loops have requests
    pacer = Pacer(plan, spec, flight, gauge)
    await pacer.run()
    early, ended_ns = flight.over.is_set(), flight.now()
    await flight.drain(flight.setting.policy.drain_seconds)
    due = pacer.due(ended_ns) if early else len(plan.requests)
    health = judge_health(plan.phase, gauge.read(due=due, on_time=pacer.on_time))
    seconds = max(0.0, ended_ns / SECOND) if early else spec.seconds
    return PhaseResult(_end(flight, plan.phase, seconds, len(plan.requests)), health)


async def _closed(plan: PhasePlan, flight: Flight, gauge: Gauge) -> PhaseResult:
    levels = await run_levels(plan, flight)
    seconds = flight.now() / SECOND
    await flight.drain(flight.setting.policy.drain_seconds)
    health = judge_health(plan.phase, gauge.read(due=None))
    return PhaseResult(_end(flight, plan.phase, seconds, flight.progress.sent, levels), health)


def _end(
    flight: Flight, phase: Phase, seconds: float, planned: int, levels: tuple[tuple[int, float], ...] = ()
) -> PhaseEnd:
    return PhaseEnd(
        phase=phase,
        attempt=flight.setting.attempt,
        complete=bool(flight.curtailed) or not flight.stopped,
        seconds=seconds,
        planned=planned,
        curtailed=flight.curtailed,
        level_seconds=levels,
    )


class Pacer:
    """Sends the requests of an open loop, each at its intended time; the next one lies ready while it waits."""

    def __init__(self, plan: PhasePlan, spec: OpenLoop, flight: Flight, gauge: Gauge) -> None:
        self.on_time = 0
        self._requests, self._flight, self._gauge = plan.requests, flight, gauge
        self._window_ns = round((spec.seconds + LAG_P99) * SECOND)
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._through = self._loop.create_future()
        self._ready = self._messages()

    async def run(self) -> None:
        """Returns when the last request has left, or when the phase has to end early."""
        over = asyncio.ensure_future(self._flight.over.wait())
        self._flight.begin(LEAD_NS)
        self._guarded()
        try:
            await asyncio.wait({self._through, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            self._through.cancel()
        if self._through.done() and not self._through.cancelled():
            self._through.result()

    def due(self, at_ns: int) -> int:
        """How many requests were due until then."""
        return sum(item.intended_ns <= at_ns for item in self._requests)

    def _guarded(self) -> None:
        if self._through.done():
            return
        try:
            self._fire()
        except Exception as error:  # noqa: BLE001 - raised again where run() is awaited
            self._through.set_exception(error)

    def _fire(self) -> None:
        flight = self._flight
        while self._next < len(self._requests) and not flight.over.is_set():
            planned = self._requests[self._next]
            left = planned.intended_ns - flight.now()
            if left > 0:
                # uvloop's timers count whole milliseconds: rounding up never sends early
                self._loop.call_later(ceil(left / 1_000_000) / 1000, self._guarded)
                return
            self._send(planned, -left)
            self._next += 1
            if self._next < len(self._requests):
                self._ready = self._messages()
        if not self._through.done():
            self._through.set_result(None)

    def _send(self, planned: Planned, lag_ns: int) -> None:
        flight, gauge = self._flight, self._gauge
        flight.progress.offered += 1
        if flight.progress.in_flight >= flight.setting.policy.in_flight_cap:
            gauge.not_sent += 1
            flight.not_sent(planned)
            return
        gauge.lags.append(lag_ns / SECOND)
        self.on_time += planned.intended_ns + lag_ns <= self._window_ns
        flight.send(planned, self._ready, planned.intended_ns)

    def _messages(self) -> list[dict[str, object]]:
        setting = self._flight.setting
        return setting.prompts.messages(self._requests[self._next].prompt_id, setting.attempt)


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """What lives when a phase begins lives until its end: the garbage collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
