"""The seam alone: bounded queue, cache guard, preemption under pressure, cancel, recovery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engines.hf.batcher import Batcher, Job, QueueFull, RequestTooLarge
from engines.hf.config import EngineConfig
from engines.hf.loading import load

CACHE = 256


class Answer:
    """Collects what the batcher hands over for one job."""

    def __init__(self, prompt: list[int], max_new_tokens: int, **sampling: Any) -> None:
        self.tokens: list[int] = []
        self.cached: int | None = None
        self.failure: str | None = None
        self.over = asyncio.Event()
        wishes = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, **sampling}
        self.job = Job(
            prompt=prompt,
            max_new_tokens=max_new_tokens,
            end_tokens=frozenset(),
            on_tokens=self._take,
            on_failure=self._fail,
            **wishes,
        )

    def _take(self, new: list[int], cached: int | None, done: bool) -> None:
        self.tokens += new
        self.cached = self.cached or cached
        if done:
            self.over.set()

    def _fail(self, message: str) -> None:
        self.failure = message
        self.over.set()

    async def finish(self) -> list[int]:
        await asyncio.wait_for(self.over.wait(), 20)
        return self.tokens


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[Batcher]:
    sizes = {"page_size": 16, "num_blocks": CACHE // 16, "max_batch_tokens": 64, **options}
    config = EngineConfig(model=folder, dtype="float32", **sizes)
    batcher = Batcher(load(config), config)
    await batcher.start()
    try:
        yield batcher
    finally:
        await batcher.stop()


async def until(truth: Callable[[], bool]) -> None:
    for _ in range(1000):
        if truth():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not become true in 10 s")


async def test_it_refuses_a_request_larger_than_the_cache(llama_folder: Path) -> None:
    async with running(llama_folder) as batcher:
        assert batcher.largest_request <= CACHE
        with pytest.raises(RequestTooLarge):
            batcher.submit(Answer([1] * 100, CACHE - 99).job)
        fits = Answer([1] * 100, batcher.largest_request - 100)
        batcher.submit(fits.job)
        assert len(await fits.finish()) == batcher.largest_request - 100
        assert batcher.stats().restarts == 0


async def test_requests_that_outgrow_the_cache_together_all_finish(llama_folder: Path) -> None:
    async with running(llama_folder) as batcher:
        answers = [Answer([number] * 20, 200) for number in range(1, 5)]
        for answer in answers:
            batcher.submit(answer.job)
        together = [await answer.finish() for answer in answers]
        assert [len(tokens) for tokens in together] == [200] * 4
        alone = Answer([3] * 20, 200)
        batcher.submit(alone.job)
        assert await alone.finish() == together[2]
        assert batcher.stats().restarts == 0


async def test_what_does_not_fit_the_queue_is_refused(llama_folder: Path) -> None:
    async with running(llama_folder, max_running=1, max_waiting=2) as batcher:
        answers = [Answer([1, 2], 100) for _ in range(3)]
        for answer in answers:
            batcher.submit(answer.job)
        assert (batcher.stats().running, batcher.stats().waiting) == (1, 2)
        with pytest.raises(QueueFull):
            batcher.submit(Answer([1, 2], 100).job)
        assert [len(await answer.finish()) for answer in answers] == [100] * 3


async def test_cancelled_requests_give_back_their_place_and_cache(llama_folder: Path) -> None:
    async with running(llama_folder, max_running=1) as batcher:
        first, second = Answer([1, 2], 200), Answer([3, 4], 200)
        batcher.submit(first.job)
        batcher.submit(second.job)
        await until(lambda: bool(first.tokens))
        batcher.cancel(second.job)
        batcher.cancel(first.job)
        batcher.cancel(first.job)
        assert (batcher.stats().running, batcher.stats().waiting) == (0, 0)
        await until(lambda: batcher.stats().kv_usage == 0)
        seen = len(first.tokens)
        third = Answer([5, 6], 20)
        batcher.submit(third.job)
        assert len(await third.finish()) == 20
        assert len(first.tokens) == seen


async def test_after_a_fatal_error_the_running_fail_and_the_waiting_go_on(llama_folder: Path) -> None:
    async with running(llama_folder, max_running=1) as batcher:
        inside, waiting = Answer([1, 2], 200), Answer([3, 4], 20)
        batcher.submit(inside.job)
        batcher.submit(waiting.job)
        await until(lambda: bool(inside.tokens))
        steps = batcher.stats().steps
        batcher._manager._generation_step = lambda: 1 / 0
        await inside.finish()
        assert inside.failure is not None
        assert len(await waiting.finish()) == 20
        assert batcher.stats().restarts == 1
        assert batcher.stats().steps > steps


async def test_a_long_prompt_does_not_hold_up_a_short_one(llama_folder: Path) -> None:
    async with running(llama_folder, num_blocks=256, max_batch_tokens=32) as batcher:
        long, short = Answer(list(range(1, 200)) * 15, 1), Answer([7] * 10, 1)
        batcher.submit(long.job)
        await until(lambda: batcher.stats().steps > 2)
        batcher.submit(short.job)
        await short.finish()
        assert not long.over.is_set()
        assert len(await long.finish()) == 1


async def test_a_shared_prefix_is_counted_as_cached(llama_folder: Path) -> None:
    async with running(llama_folder) as batcher:
        for expected in (0, 48):
            answer = Answer([9] * 60, 2)
            batcher.submit(answer.job)
            await answer.finish()
            assert (answer.cached or 0) == expected
