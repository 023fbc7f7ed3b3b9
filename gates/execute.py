"""Executes one run in this process: preflight, warm-up, every phase that is left, cooling, verdict.

The loop belongs to the load generator. What else happens (writing, watching, the lease) runs beside it and is small.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import OperationalError

from engines.http import new_session
from engines.sealing import SealBroken
from gates import journal, preflight, records, runs
from gates.board import Board
from gates.curtail import Curtailment
from gates.guard import Guard, Stopped
from gates.holder import this_process
from gates.judge import to_json
from gates.ledger import Ledger, utc_now
from gates.load import selftest
from gates.load.generator import PhaseResult, run_phase, warm_up
from gates.load.plan import PhasePlan
from gates.load.samples import Sample
from gates.models import GateRun
from gates.policy import InvalidPolicy, Mode, Step
from gates.preflight import Prepared, Unfit
from gates.runs import State
from gates.subject import TargetGone
from gates.verdict import GeneratorHealth, PhaseEnd
from gates.watch import Server
from gates.writer import Writer

log = logging.getLogger(__name__)

COOL_SECONDS = 15.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. Tests are less patient."""

    silent: float = 60.0
    cool: float = COOL_SECONDS
    health_gap: float = 1.0


@dataclass(frozen=True, slots=True)
class Generator:
    """What makes the load, and what shows beforehand that this machine can."""

    run_phase: Callable[..., Awaitable[PhaseResult]] = run_phase
    warm_up: Callable[..., Awaitable[list[Sample]]] = warm_up
    self_test: Callable[..., Awaitable[GeneratorHealth]] = selftest.run


class Execution:
    def __init__(
        self, run: GateRun, fence: int, *, holder: str, writer: Writer, pace: Pace, generator: Generator
    ) -> None:
        self.run, self.writer, self.pace, self.generator = run, writer, pace, generator
        self.policy = records.policy_of(run)
        self.ledger = Ledger(writer, run, holder, fence)
        self.guard = Guard(silent_seconds=pace.silent)
        self.board = Board(self.policy.objectives)
        self.prepared: Prepared | None = None
        self.curtailed = ""

    async def conduct(self) -> None:
        """Always ends the run in a state of its own, unless it belongs to another process by then."""
        async with new_session(settings.ENGINE_NETWORKS, user_agent="engine-console-gate") as session:
            beside: list[asyncio.Task[None]] = []
            try:
                prepared = self.prepared = await preflight.prepare(self.run, self.policy, session, self.writer)
                beside = [
                    asyncio.create_task(self.guard.run(self.ledger, prepared.watch, self.writer)),
                    asyncio.create_task(prepared.watch.run()),
                    asyncio.create_task(self._record(prepared)),
                ]
                await self._steps(prepared)
            except Stopped:
                log.info("Run %s ends early: %s", self.run.pk, self.guard.ending)
            except journal.LeaseLost:
                self.guard.end(None, "another process has the run")
            except Unfit as unfit:
                self.guard.end(State.INVALID, str(unfit))
            except (TargetGone, SealBroken, InvalidPolicy, preflight.Unreachable) as failure:
                self.guard.end(State.ERRORED, str(failure))
            except Exception as failure:  # whatever breaks here is ours: the run says so, the log has the rest
                log.exception("Run %s broke.", self.run.pk)
                self.guard.end(
                    State.ERRORED, f"It broke in our own code ({type(failure).__name__}): see the worker's log."
                )
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
            await self._close()

    async def _steps(self, prepared: Prepared) -> None:
        done = await self.writer.do(records.finished, self.run)
        left = [plan for plan in prepared.plan.phases if plan.phase.value not in done]
        if left:
            gap = self.pace.health_gap
            await self.guard.within(
                preflight.check(prepared, self.policy, self.ledger, gap=gap, self_test=self.generator.self_test)
            )
            await self._warm(prepared)
            for plan in left:
                await self._phase(plan, prepared)
                if self.curtailed and self.policy.mode is Mode.GATE:
                    break
        await self._judge()

    async def _warm(self, prepared: Prepared) -> None:
        await self.ledger.move(State.WARMING, f"{self.policy.warm_up_requests} requests with prompts of their own")
        samples = await self.guard.within(
            self.generator.warm_up(
                self.policy, prompts=prepared.prompts, target=prepared.target, seed=self.run.seed, stop=self.guard.stop
            )
        )
        answered = sum(not sample.failed for sample in samples)
        await self.ledger.note("warm-up", f"{answered} of {len(samples)} warm-up requests were answered.")

    async def _phase(self, plan: PhasePlan, prepared: Prepared) -> None:
        self.guard.check()
        attempt = await self.ledger.begin_phase(plan.phase)
        again = f", attempt {attempt}" if attempt > 1 else ""
        await self.ledger.move(State.RUNNING, f"{plan.phase.upper()}{again}", phase=plan.phase)
        await self.ledger.note("phase", f"{plan.phase.upper()} begins{again}.")
        before = await prepared.watch.look()
        draining = asyncio.create_task(self._drain_at(plan))
        result = await self._load(plan, prepared, attempt)
        draining.cancel()
        kept = result.end.complete and not (self.guard.stop.is_set() and not result.end.curtailed)
        await self._flush(prepared)
        await self.ledger.end_phase(
            end=result.end, generator=result.health, kept=kept, server=server_facts(before, await prepared.watch.look())
        )
        self.guard.check()
        await self._cool(plan, prepared, result.end)

    async def _load(self, plan: PhasePlan, prepared: Prepared, attempt: int) -> PhaseResult:
        def take(samples: list[Sample]) -> None:
            self.ledger.keep(samples)
            self.board.take(samples, now=time.monotonic())
            if any(sample.status_code is not None for sample in samples):
                prepared.watch.seen()

        loading = asyncio.ensure_future(
            self.generator.run_phase(
                plan,
                policy=self.policy,
                prompts=prepared.prompts,
                target=prepared.target,
                on_samples=take,
                curtail=Curtailment(self.policy, plan.phase, len(plan.requests)).see,
                stop=self.guard.stop,
                attempt=attempt,
                progress=self.board.begin(now=time.monotonic()),
            )
        )
        stopping = asyncio.ensure_future(self.guard.stop.wait())
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        async with asyncio.timeout(STOP_SECONDS if self.guard.stop.is_set() else None):
            return await loading

    async def _drain_at(self, plan: PhasePlan) -> None:
        """An open loop drains once its last request was due; a closed loop never does."""
        if isinstance(plan.spec, Step):
            return
        await asyncio.sleep(plan.spec.seconds)
        reason = "the last request was due"
        moving = self.ledger.move(State.DRAINING, reason, phase=plan.phase, only_from=State.RUNNING)
        await asyncio.shield(asyncio.ensure_future(moving))

    async def _cool(self, plan: PhasePlan, prepared: Prepared, end: PhaseEnd) -> None:
        self.curtailed = end.curtailed
        reason = f"{end.curtailed} can no longer be met" if end.curtailed else f"{plan.phase.upper()} is complete"
        await self.ledger.move(State.COOLING, reason, phase=plan.phase)
        await self.ledger.note("phase", f"{plan.phase.upper()} ended after {end.seconds:.0f} s: {reason}.")
        await self.guard.within(prepared.watch.until_idle(most=self.pace.cool, baseline=prepared.baseline))

    async def _judge(self) -> None:
        self.guard.check()
        await self.ledger.move(State.JUDGING, "every phase has ended" if not self.curtailed else "ended early")
        run = await self.writer.do(GateRun.objects.select_related("policy").get, pk=self.run.pk)
        judgement = await self.writer.do(records.judged, run)
        self.guard.check()
        await self.ledger.finish(State(judgement.verdict.value), judgement.reason, to_json(judgement))

    async def _record(self, prepared: Prepared) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._flush(prepared)
            except (journal.LeaseLost, OperationalError) as lost:
                self.guard.end(None, f"cannot write: {lost}")
                return

    async def _flush(self, prepared: Prepared) -> None:
        await self.ledger.flush(self.board, prepared.watch.server, monotonic=time.monotonic())

    async def _close(self) -> None:
        ending = self.guard.ending
        if ending is None or ending.state is None or self.ledger.state in runs.OVER:
            return
        try:
            if ending.state is State.CANCELLED:
                await self._cancel()
            else:
                await self._finish(ending.state, ending.reason)
        except (journal.LeaseLost, OperationalError):
            log.exception("Run %s could not be closed; the reaper will.", self.run.pk)

    async def _cancel(self) -> None:
        await self.ledger.move(State.CANCELLING, "an operator cancels")
        reason = "Cancelled."
        if self.prepared is not None:
            await self._flush(self.prepared)
            load, seconds = await self.prepared.watch.until_idle(most=self.pace.cool, baseline=self.prepared.baseline)
            inside = "The engine does not tell how many requests it runs." if load is None else (
                f"{load:.0f} requests were inside the engine {seconds:.1f} s after the load had stopped."
            )  # fmt: skip
            reason = f"Cancelled. {inside}"
            await self.ledger.note("cancel", inside)
        await self._finish(State.CANCELLED, reason)

    async def _finish(self, state: State, reason: str) -> None:
        run = await self.writer.do(GateRun.objects.select_related("policy").get, pk=self.run.pk)
        judgement = await self.writer.do(records.judged_early, run, state, reason)
        await self.ledger.note(state.value, reason)
        await self.ledger.finish(state, reason, to_json(judgement) if judgement else None)


async def execute(run_id: int, *, pace: Pace | None = None, generator: Generator | None = None) -> bool:
    """Claim the run and bring it to an end. False when it could not be claimed: not queued, or its engine is busy."""
    writer, holder = Writer(), this_process()
    try:
        fence = await writer.do(journal.claim, run_id, holder, utc_now())
        if fence is None:
            return False
        run = await writer.do(GateRun.objects.select_related("policy").get, pk=run_id)
        execution = Execution(
            run, fence, holder=holder, writer=writer, pace=pace or Pace(), generator=generator or Generator()
        )
        with suppress(ValueError, RuntimeError, NotImplementedError):  # only a main thread hears signals
            loop = asyncio.get_running_loop()
            stopped = "The worker was stopped. Resume it; finished phases are kept."
            loop.add_signal_handler(signal.SIGTERM, execution.guard.end, State.INTERRUPTED, stopped)
            loop.add_signal_handler(signal.SIGINT, execution.guard.end, State.CANCELLED, "Cancelled.")
        await execution.conduct()
        return True
    finally:
        writer.close()


def server_facts(before: Server, after: Server) -> dict[str, Any]:
    """What the engines counted over a phase. None where they do not tell."""
    queries, hits = _grown(before.prefix_queries, after.prefix_queries), _grown(before.prefix_hits, after.prefix_hits)
    return {
        "running_before": before.running,
        "running_after": after.running,
        "prefix_queries": queries,
        "prefix_hits": hits,
        "cache_hit_rate": hits / queries if hits is not None and queries else None,
        "steps": _grown(before.steps, after.steps),
    }


def _grown(before: float | None, after: float | None) -> float | None:
    """None when not known, or when the engine restarted and counts anew."""
    return after - before if before is not None and after is not None and after >= before else None
