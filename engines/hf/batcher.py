"""The one seam around transformers' continuous batching manager: submit, cancel, stats.

Everything here runs on the event loop's thread, except `build_manager` and the manager's own thread behind it.
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

from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.model_runner import infer_max_single_request_tokens
from transformers.generation.continuous_batching.requests import RequestStatus

from engines.hf.config import EngineConfig
from engines.hf.loading import LoadedModel
from engines.hf.sampling import SHORTEST_FIRST, sampler_list

log = logging.getLogger(__name__)

# The library's logger writes to the terminal by itself; ours decides where lines go.
_library_log = logging.getLogger("ContinuousBatchingLogger")
_library_log.handlers.clear()
_library_log.propagate = True
_library_log.setLevel(logging.WARNING)

RESERVED_ANSWER_TOKENS = 512  # what an admitted request may be expected to write; more is paid by preemption
HEAD_PATIENCE_SECONDS = 5.0  # how long smaller requests may pass a large one that does not fit yet
LEAST_CACHE_TOKENS = 16_384
WATCH_SECONDS = 0.1
START_SECONDS = 120.0
LEAST_FREE_SHARE = 0.02  # below it the scheduler drops unused prefix blocks


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
            await asyncio.to_thread(_stop_manager, self._manager)
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
        usage = _kv_usage(self._manager) if self.alive else None
        return BatcherStats(len(self._running), len(self._waiting), usage, self._steps(), self._restarts)

    @property
    def alive(self) -> bool:
        manager = self._manager
        return manager is not None and manager.is_running() and _fatal_error(manager) is None

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
        error = _fatal_error(self._manager) if self._manager is not None else None
        log.error("the batching manager died (%s); restarting it", error)
        for job in list(self._running.values()):
            self._fail(job)
        self._restarts += 1
        self._steps_before = self._steps()
        dead, self._manager = self._manager, None
        try:
            if dead is not None:
                await asyncio.to_thread(_stop_manager, dead)
            await self._start_manager()
        except Exception:  # the watchdog must live to try again; /health says 503 meanwhile
            log.exception("the batching manager did not start; next try in 1 s")
            await asyncio.sleep(1.0)

    async def _start_manager(self) -> None:
        manager = await asyncio.to_thread(build_manager, self._loaded, self._config)
        self.largest_request = min(self._loaded.context, manager.largest_request)
        self._capacity = manager.largest_request
        self._manager = manager


def build_manager(loaded: LoadedModel, config: EngineConfig) -> Any:
    """Blocks until the manager's thread has made its cache. Raises its error when it could not."""
    blocks = config.num_blocks or default_blocks(loaded.context, config.page_size)
    manager = loaded.model.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=config.page_size,
            num_blocks=blocks,
            max_batch_tokens=config.max_batch_tokens,
            max_requests_per_batch=min(config.max_running, config.max_batch_tokens),
            scheduler_type=SHORTEST_FIRST,
            safety_margin=LEAST_FREE_SHARE,
        ),
    )
    manager.logit_processor = sampler_list()
    manager.current_batch = 0
    manager.start()
    deadline = time.monotonic() + START_SECONDS
    while manager.batch_processor is None and manager.is_running() and time.monotonic() < deadline:
        time.sleep(0.005)
    if manager.batch_processor is None:
        error = _fatal_error(manager)
        raise RuntimeError(f"the batching manager did not start: {error}") from error
    manager.largest_request = infer_max_single_request_tokens(manager.batch_processor.cache)
    return manager


def default_blocks(context: int, page_size: int) -> int:
    """Room for one full context and half as much for the others, or for many short requests if that is more."""
    return -(-max(context + context // 2, LEAST_CACHE_TOKENS) // page_size)


def _stop_manager(manager: Any) -> None:
    manager.stop(block=True, timeout=10.0, hard_stop=True)


def _fatal_error(manager: Any) -> Exception | None:
    return manager.background_thread_status.fatal_error  # type: ignore[no-any-return]


def _kv_usage(manager: Any) -> float | None:
    """Share of the cache that live requests hold, 0 to 1; unused prefix blocks count as free."""
    processor = manager.batch_processor
    if processor is None:
        return None
    cache = processor.cache
    total = cache.num_sectors * cache.bytes_per_sector
    idle = sum(
        len(allocator.ledger.cached_blocks) * allocator.bytes_per_block for allocator in cache.cache_allocators.values()
    )
    return float(min(1.0, max(0.0, 1.0 - cache.compute_free_capacity() - idle / total)))
