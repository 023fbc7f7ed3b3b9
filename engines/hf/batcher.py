"""The one seam around transformers' continuous batching manager: submit, cancel, stats.

Everything here runs on the event loop's thread; the manager has its own (see manager.py).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transformers.generation.continuous_batching.requests import RequestStatus

from engines.hf.config import EngineConfig
from engines.hf.loading import LoadedModel
from engines.hf.manager import accepts, build_manager, fatal_error, kv_usage, stop_manager

log = logging.getLogger(__name__)

RESERVED_ANSWER_TOKENS = 512  # what an admitted request may be expected to write; more is paid by preemption
HEAD_PATIENCE_SECONDS = 5.0  # how long smaller requests may pass a large one that does not fit yet
WATCH_SECONDS = 0.1


class QueueFull(Exception):
    """No more request may wait; try again later."""


class RequestTooLarge(Exception):
    """The cache could never hold prompt and answer; inside the manager it would end everybody's generation."""


class NotRunning(Exception):
    """The manager is down, being restarted or not started yet."""


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One request on its way through the manager. `on_tokens(new, cached, done)` and `on_failure(message)` are
    called on the event loop; after `done`, failure or cancel neither is called again."""

    prompt: list[int]
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    end_tokens: frozenset[int]
    on_tokens: Callable[[list[int], int | None, bool], None]
    on_failure: Callable[[str], None]
    key: str = ""
    seen: int = 0
    waiting_since: float = field(default_factory=time.monotonic)

    @property
    def reserve(self) -> int:
        return len(self.prompt) + min(self.max_new_tokens, RESERVED_ANSWER_TOKENS)


@dataclass(frozen=True, slots=True)
class BatcherStats:
    running: int
    waiting: int
    kv_usage: float | None
    steps: int
    restarts: int


class Batcher:
    def __init__(self, loaded: LoadedModel, config: EngineConfig) -> None:
        self._loaded = loaded
        self._config = config
        self._manager: Any = None
        self._running: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._keys = itertools.count()
        self._steps_before = 0
        self._restarts = 0
        self._watch: asyncio.Task[None] | None = None
        self._last_step = (0, time.monotonic())
        self._capacity = 0
        self.largest_request = 0

    async def start(self) -> None:
        await self._start_manager()
        self._watch = asyncio.create_task(self._watch_manager())

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._manager is not None:
            await asyncio.to_thread(stop_manager, self._manager)
            self._manager = None

    def submit(self, job: Job) -> None:
        if not self.alive:
            raise NotRunning
        if len(job.prompt) + job.max_new_tokens > self.largest_request:
            raise RequestTooLarge
        if len(self._waiting) >= self._config.max_waiting:
            raise QueueFull
        job.key = f"r{next(self._keys)}"
        self._waiting.append(job)
        self._admit()

    def cancel(self, job: Job) -> None:
        """Safe at any time. The manager delivers nothing more for the request, so its slot is freed here."""
        if self._running.pop(job.key, None) is not None:
            self._manager.output_router.result_handlers.pop(job.key, None)
            self._manager.cancel_request(job.key)
            self._forget(job.key)
        elif job in self._waiting:
            self._waiting.remove(job)
        self._admit()

    def stats(self) -> BatcherStats:
        usage = kv_usage(self._manager) if self.alive else None
        return BatcherStats(len(self._running), len(self._waiting), usage, self._steps(), self._restarts)

    @property
    def alive(self) -> bool:
        manager = self._manager
        return manager is not None and accepts(manager)

    @property
    def stalled(self) -> bool:
        """Requests run, but the manager has taken no step for too long."""
        step, since = self._last_step
        still = bool(self._running) and step == self._steps()
        return still and time.monotonic() - since > self._config.stall_seconds

    def _steps(self) -> int:
        return self._steps_before + int(getattr(self._manager, "current_batch", 0))

    def _admit(self) -> None:
        """Moves waiting requests into the manager while slots and cache last."""
        if not self.alive:
            return
        reserved = sum(job.reserve for job in self._running.values())
        for job in list(self._waiting):
            if len(self._running) >= self._config.max_running:
                return
            if not self._running or reserved + job.reserve <= self._capacity:
                self._waiting.remove(job)
                reserved += job.reserve
                self._enter(job)
            elif time.monotonic() - self._waiting[0].waiting_since > HEAD_PATIENCE_SECONDS:
                return

    def _enter(self, job: Job) -> None:
        manager = self._manager
        self._running[job.key] = job
        manager.register_result_handler(job.key, lambda output: self._deliver(job, output))
        sampling = {"temperature": job.temperature, "top_k": job.top_k, "top_p": job.top_p}
        accepted = manager.add_request(
            job.prompt,
            request_id=job.key,
            max_new_tokens=job.max_new_tokens,
            streaming=True,
            eos_token_id=list(job.end_tokens) or [-1],
            **(sampling if job.temperature > 0 else {}),
        )
        if accepted is None:
            self._fail(job)

    def _deliver(self, job: Job, output: Any) -> None:
        if self._running.get(job.key) is not job:
            return
        if output.status == RequestStatus.FAILED:
            log.error("request %s failed in the manager: %s", job.key, output.error)
            self._fail(job)
            return
        done = output.is_finished()
        new = output.generated_tokens[job.seen :]
        cached = self._cached_tokens(job) if job.seen == 0 else None
        job.seen += len(new)
        if done:
            del self._running[job.key]
            self._forget(job.key)
        try:
            job.on_tokens(new, cached, done)
        except Exception:  # one broken request must not swallow the other outputs of this step
            log.exception("request %s could not take its tokens", job.key)
            self.cancel(job)
            self._fail(job)
        if done:
            self._admit()

    def _cached_tokens(self, job: Job) -> int | None:
        """None when the model's attention forbids prefix sharing, so there is nothing to know."""
        processor = self._manager.batch_processor
        if processor is None or not processor.cache.use_prefix_sharing:
            return None
        return int(processor.scheduler.spared_tokens.get(job.key, 0))

    def _forget(self, key: str) -> None:
        processor = self._manager.batch_processor
        if processor is not None:
            processor.scheduler.spared_tokens.pop(key, None)

    def _fail(self, job: Job) -> None:
        self._running.pop(job.key, None)
        job.on_failure("The engine failed while generating this answer. Try again.")

    async def _watch_manager(self) -> None:
        """Restarts a dead manager; what was inside it fails, what still waited goes on."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._steps() != self._last_step[0] or not self._running:
                self._last_step = (self._steps(), time.monotonic())
            if not self.alive:
                await self._restart()
            self._admit()

    async def _restart(self) -> None:
        error = fatal_error(self._manager) if self._manager is not None else None
        log.error("the batching manager died (%s); restarting it", error)
        for job in list(self._running.values()):
            self._fail(job)
        self._restarts += 1
        self._steps_before = self._steps()
        dead, self._manager = self._manager, None
        try:
            if dead is not None:
                await asyncio.to_thread(stop_manager, dead)
            await self._start_manager()
        except Exception:  # the watchdog must live to try again; /health says 503 meanwhile
            log.exception("the batching manager did not start; next try in 1 s")
            await asyncio.sleep(1.0)

    async def _start_manager(self) -> None:
        manager = await asyncio.to_thread(build_manager, self._loaded, self._config)
        self.largest_request = min(self._loaded.context, manager.largest_request)
        self._capacity = manager.largest_request
        self._manager = manager
