"""One failover run: the stand-in staged, load through the gateway, the faults one by one, the verdict, all removed."""

import asyncio
import contextlib
import logging
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from django.conf import settings

from engines.models import Engine, Replica
from engines.network import is_allowed
from gates.failover import actions
from gates.failover.actions import NotRunning
from gates.failover.judge import Pair, Report, judge
from gates.failover.load import Load
from gates.failover.proxy import FaultProxy
from gates.failover.scenarios import Sample, Scenario, Seen, Span
from gates.models import FailoverRun
from gates.runs import State
from gates.writer import Writer
from routing.gateway.tokens import make_token
from routing.models import OutcomeRecord
from routing.publish import current_settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
BEAT_SECONDS = 1.0
ENTER_SECONDS = 45.0
TOKEN_SECONDS = 120
RECORDS_SECONDS = 3.0


class Cancelled(Exception):
    """An operator asked for it."""


class Unready(Exception):
    """The stand-in never took a request; the message says what is missing."""


class Trial:
    """Times of spans and samples are seconds on the load's clock. `listen` must be reachable for the gateways."""

    def __init__(self, run: FailoverRun, writer: Writer, *, listen: str = "127.0.0.1") -> None:
        self.run, self.plan, self.writer, self.listen = run, actions.plan_of(run), writer, listen
        self.spans: list[Span] = []
        self.rotation: list[tuple[float, bool]] = []
        self.step = "starting"
        self._beaten = 0.0

    async def conduct(self) -> Report:
        """Raises Cancelled, Unready, NotRunning. The stage stays for `execute` to strike."""
        url = await self.writer.do(_url_of, self.run.engine)
        proxy = FaultProxy(url, listen=self.listen, allowed=lambda peer: is_allowed(peer, settings.ENGINE_NETWORKS))
        await proxy.open()
        try:
            name, self.replica = await self.writer.do(actions.stage, self.run.pk, proxy.url)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
                self.load = Load(session, url=settings.GATEWAY_URL, route=name, token=self._token, plan=self.plan)
                self.name = name
                await self._enter()
                return await self._drill(proxy)
        finally:
            await proxy.close()

    async def _enter(self) -> None:
        """Until the gateway answers from the stand-in; the probe that lets it in is the controller's."""
        until, last = time.monotonic() + ENTER_SECONDS, "nothing was asked"
        while time.monotonic() < until:
            await self._look("waiting for the first probe of the stand-in")
            sample = await self.load.send(0, streamed=False)
            if sample.seen is Seen.OK and sample.engine == self.name:
                return
            last = sample.error or f"{sample.engine or sample.seen} answered"
            await asyncio.sleep(1.0)
        raise Unready(f"The stand-in of {self.run.engine} took no request within {ENTER_SECONDS:.0f} s: {last}.")

    async def _drill(self, proxy: FaultProxy) -> Report:
        self.load.restart()
        self.rotation = [(0.0, True)]
        loading = asyncio.create_task(self.load.run())
        try:
            await self._while(self.plan.calm, "calm: light load, no fault")
            for scenario in self.plan.scenarios:
                await self._scenario(proxy, scenario)
        finally:
            loading.cancel()
            await proxy.heal()
        await asyncio.gather(loading, return_exceptions=True)
        await self.load.drain()
        limits = await self.writer.do(current_settings)
        pair = Pair(
            engine=self.run.engine, stand_in=self.name, other=self.run.other,
            ttft_limit=limits.ttft_limit, e2e_limit=limits.e2e_limit,
        )  # fmt: skip
        self.samples = await self._with_attempts(sorted(self.load.samples, key=lambda sample: sample.index))
        return judge(self.samples, self.spans, pair)

    async def _scenario(self, proxy: FaultProxy, scenario: Scenario) -> None:
        began = self.load.clock()
        await proxy.inject(scenario)
        await self._while(self.plan.fault, f"{scenario}: the fault is in force")
        await proxy.heal()
        healed = self.load.clock()
        recovered = False
        while not recovered and self.load.clock() - healed < self.plan.patience:
            await self._while(LOOK_SECONDS, f"{scenario}: healed, waiting until {self.run.engine} is back")
            recovered = self.load.clock() - healed >= self.plan.recovery and self._answers(healed)
        moves = [(at, there) for at, there in self.rotation if at >= began]
        out = next((at for at, there in moves if not there), None)
        back = next((at for at, there in moves if there and out is not None and at > out), None)
        self.spans.append(
            Span(scenario=scenario, began=began, healed=healed, ended=self.load.clock(), out_at=out, back_at=back,
                 recovered=recovered)
        )  # fmt: skip

    def _answers(self, since: float) -> bool:
        return any(
            sample.sent >= since and sample.seen is Seen.OK and sample.engine == self.name
            for sample in self.load.samples
        )

    async def _while(self, seconds: float, step: str) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._look(step)
            await asyncio.sleep(min(LOOK_SECONDS, max(until - time.monotonic(), 0)))

    async def _look(self, step: str) -> None:
        """In rotation or not, as the console has it; the lease; and whether somebody cancelled."""
        there = await self.writer.do(_in_rotation, self.replica)
        if not self.rotation or self.rotation[-1][1] is not there:
            self.rotation.append((self.load.clock(), there))
        if step != self.step or time.monotonic() - self._beaten >= BEAT_SECONDS:
            self.step, self._beaten = step, time.monotonic()
            if await self.writer.do(actions.beat, self.run.pk, step, datetime.now(UTC)):
                raise Cancelled

    async def _with_attempts(self, samples: list[Sample]) -> list[Sample]:
        """From the gateway's own record of each request, which it writes within seconds."""
        await asyncio.sleep(RECORDS_SECONDS)
        known = await self.writer.do(_attempts, self.name)
        return [replace(sample, attempts=known.get(sample.request_id)) for sample in samples]

    def _token(self) -> str:
        return make_token("gate", "failover", time.time() + TOKEN_SECONDS, settings.INTERNAL_TOKEN_KEY.encode())

    def document(self, report: Report) -> dict[str, Any]:
        """The JSON that is stored and given away."""
        return {
            "schema": 1, "run": self.run.pk, "route": self.run.route, "engine": self.run.engine,
            "other": self.run.other, "plan": self.run.plan, **asdict(report),
            "spans": [asdict(span) for span in self.spans], "samples": [asdict(sample) for sample in self.samples],
        }  # fmt: skip


async def execute(run_id: int, *, listen: str = "127.0.0.1") -> bool:
    """False when the run was not queued. Whatever happens, the temporary engine and route are removed."""
    writer = Writer()
    try:
        await writer.do(actions.sweep, datetime.now(UTC))
        with contextlib.suppress(NotRunning):
            run = await writer.do(actions.begin, run_id, datetime.now(UTC))
            await _bring_to_an_end(Trial(run, writer, listen=listen), writer)
            return True
        return False
    finally:
        writer.close()


async def _bring_to_an_end(trial: Trial, writer: Writer) -> None:
    state, reason, body = State.INTERRUPTED, "It was stopped.", None
    try:
        report = await trial.conduct()
        state, reason, body = State(report.verdict.value), report.reason, trial.document(report)
    except Cancelled:
        state, reason = State.CANCELLED, "Cancelled."
    except Unready as unready:
        state, reason = State.ERRORED, str(unready)
    except Exception as failure:
        log.exception("Failover run %s broke.", trial.run.pk)
        state, reason = State.ERRORED, f"It broke: {failure}."
        raise
    finally:
        await writer.do(actions.finish, trial.run.pk, state, reason, datetime.now(UTC), body)


def _url_of(engine: str) -> str:
    """Of a replica in rotation, if there is one."""
    found = Replica.objects.filter(engine=Engine.objects.get(name=engine)).order_by("-in_rotation", "pk").first()
    if found is None:
        raise Unready(f"{engine} has no replica.")
    return found.url


def _in_rotation(replica: int) -> bool:
    return Replica.objects.filter(pk=replica, in_rotation=True).exists()


def _attempts(route: str) -> dict[str, int]:
    rows = OutcomeRecord.objects.filter(route=route).values_list("request_id", "body")
    return {request_id: len(body.get("attempts", [])) for request_id, body in rows}
