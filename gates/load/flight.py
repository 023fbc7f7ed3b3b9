"""Requests under way in one phase: each followed to its outcome, made a sample, handed on about each second."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from gates.load.plan import Planned
from gates.load.samples import Sample, SampleOutcome
from gates.load.target import Target
from gates.load.wire import Answer
from gates.load.workload import Message, PromptSource
from gates.policy import Policy

FLUSH_SECONDS = 1.0
SETTLE_SECONDS = 1.5  # how long closing the sockets may take after a cancel

OnSamples = Callable[[list[Sample]], None]
Curtail = Callable[[Sample], str]


@dataclass(slots=True)
class Progress:
    """Counts of the running phase, to read at any time. `offered`: requests that were due so far."""

    phase: str = ""
    level: int | None = None
    origin_ns: int = 0
    offered: int = 0
    sent: int = 0
    finished: int = 0
    in_flight: int = 0

    def restart(self, phase: str) -> None:
        self.phase, self.level = phase, None
        self.offered = self.sent = self.finished = self.in_flight = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What every request of a phase shares. `curtail` names the objective that can no longer pass, or "".

    `on_samples` is called in the loop: whatever is slow belongs in a thread, or the generator is held up.
    """

    policy: Policy
    prompts: PromptSource
    target: Target
    on_samples: OnSamples
    curtail: Curtail | None = None
    stop: asyncio.Event | None = None
    attempt: int = 1
    progress: Progress | None = None
    warmup: bool = False


class Flight:
    """The requests of one phase. `over` is set when it has to end early: stopped, curtailed or broken."""

    def __init__(self, setting: Setting, phase: str) -> None:
        self.setting = setting
        self.origin_ns = 0
        self.over = asyncio.Event()
        self.curtailed = ""
        self.transitions: set[int] = set()  # indexes that span two levels
        self.progress = setting.progress or Progress()
        self._tasks: set[asyncio.Task[Sample]] = set()
        self._fresh: list[Sample] = []
        self._ending: SampleOutcome | None = None
        self._error: BaseException | None = None
        self.progress.restart(phase)
        self.begin()

    @property
    def stopped(self) -> bool:
        return self.setting.stop is not None and self.setting.stop.is_set()

    def begin(self, lead_ns: int = 0) -> None:
        """The clock of the phase starts: its zero is `lead_ns` from now."""
        self.origin_ns = self.progress.origin_ns = monotonic_ns() + lead_ns

    def now(self) -> int:
        """Nanoseconds since the phase began."""
        return monotonic_ns() - self.origin_ns

    def send(self, planned: Planned, messages: list[Message], intended_ns: int) -> asyncio.Task[Sample]:
        """Start one request. `intended_ns` counts from `origin_ns`."""
        self.progress.sent += 1
        task = asyncio.get_running_loop().create_task(self._follow(planned, messages, intended_ns))
        self._tasks.add(task)
        self.progress.in_flight = len(self._tasks)
        task.add_done_callback(self._landed)
        return task

    def note(self, sample: Sample) -> None:
        """Keep a sample, and ask whether the phase can still pass."""
        self._fresh.append(sample)
        self.progress.finished += 1
        if self.setting.curtail is not None and not self.over.is_set():
            self.curtailed = self.setting.curtail(sample)
            if self.curtailed:
                self.over.set()

    def not_sent(self, planned: Planned) -> None:
        self.note(self._sample(planned, Answer(outcome=SampleOutcome.NOT_SENT), planned.intended_ns))

    async def watch(self) -> None:
        """Hand on what has finished, each second, and pass a stop on; runs beside the sending."""
        stop = self.setting.stop or asyncio.Event()
        waiting = asyncio.ensure_future(stop.wait())
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=FLUSH_SECONDS)
                self.flush()
            self.over.set()
        except Exception as error:  # noqa: BLE001 - kept for check(), which raises it where the phase is awaited
            self.fail(error)
        finally:
            waiting.cancel()

    def flush(self) -> None:
        fresh, self._fresh = self._fresh, []
        if fresh:
            self.setting.on_samples(fresh)

    def check(self) -> None:
        """Raises what broke: a fault of ours, never of the other side."""
        if self._error is not None:
            raise self._error

    async def drain(self, seconds: float) -> None:
        """Follow what is under way to its end; at the limit it has timed out. A stop or curtailment cuts it short."""
        over = asyncio.ensure_future(self.over.wait())
        deadline = monotonic_ns() + round(seconds * 1e9)
        try:
            while self._tasks and not over.done() and (left := deadline - monotonic_ns()) > 0:
                await asyncio.wait({over, *self._tasks}, timeout=left / 1e9, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        await self.abandon(SampleOutcome.CANCELLED_BY_US if self.over.is_set() else SampleOutcome.TIMEOUT)

    async def abandon(self, outcome: SampleOutcome) -> None:
        """Close the sockets of everything under way."""
        self._ending = outcome
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=SETTLE_SECONDS)

    async def _follow(self, planned: Planned, messages: list[Message], intended_ns: int) -> Sample:
        answer = Answer()
        setting = self.setting
        try:
            async with asyncio.timeout(setting.policy.request_timeout):
                await setting.target.send(planned, messages, workload=setting.policy.workload, answer=answer)
        except TimeoutError:
            answer.end(SampleOutcome.TIMEOUT, monotonic_ns(), "The answer did not end in time.")
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            words = "The drain limit was reached." if self._ending is SampleOutcome.TIMEOUT else "Cancelled by the run."
            answer.end(self._ending, monotonic_ns(), words)
        return self._sample(planned, answer, intended_ns)

    def _landed(self, task: asyncio.Task[Sample]) -> None:
        self._tasks.discard(task)
        self.progress.in_flight = len(self._tasks)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.fail(error)
        else:
            self.note(task.result())

    def fail(self, error: BaseException) -> None:
        """Something of ours broke: end the phase; check() raises it."""
        self._error = self._error or error
        self.over.set()

    def _sample(self, planned: Planned, answer: Answer, intended_ns: int) -> Sample:
        return Sample(
            index=planned.index,
            phase=planned.phase.value,
            level=planned.level,
            attempt=self.setting.attempt,
            intended_ns=intended_ns,
            sent_ns=self._since(answer.sent_ns),
            first_token_ns=self._since(answer.first_token_ns),
            end_ns=self._since(answer.end_ns),
            outcome=answer.outcome or SampleOutcome.TRANSPORT_ERROR,
            status_code=answer.status_code,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cached_tokens=answer.cached_tokens,
            last_token_ns=self._since(answer.last_token_ns),
            prompt_id=planned.prompt_id,
            engine=answer.engine,
            error=answer.error,
            warmup=self.setting.warmup,
            transition=planned.index in self.transitions,
        )

    def _since(self, at: int | None) -> int | None:
        return None if at is None else at - self.origin_ns
