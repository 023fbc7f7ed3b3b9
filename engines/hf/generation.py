"""One answer in the making: takes tokens from the batcher and turns them into pieces of text with an ending."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from engines.hf.batcher import Batcher, Job
from engines.hf.errors import ApiError
from engines.hf.harmony import ChannelSplitter, Markers
from engines.hf.loading import LoadedModel
from engines.hf.metrics import Metrics
from engines.hf.openai import Wishes
from engines.hf.replies import Usage
from engines.hf.text import Detokenizer, StopFinder


@dataclass(frozen=True, slots=True)
class Piece:
    """A step of the answer. `finish_reason` is set on the last; an `error` ends the answer without one."""

    content: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    error: ApiError | None = None

    @property
    def last(self) -> bool:
        return self.finish_reason is not None or self.error is not None


class Generation:
    def __init__(
        self,
        loaded: LoadedModel,
        marks: Markers | None,
        *,
        batcher: Batcher,
        metrics: Metrics,
        prompt: list[int],
        wishes: Wishes,
        max_new_tokens: int,
        chat: bool,
    ) -> None:
        self._batcher = batcher
        self._metrics = metrics
        self._queue: asyncio.Queue[Piece] = asyncio.Queue()
        self._splitter = ChannelSplitter(marks, loaded.tokenizer) if marks and chat else None
        self._stop = StopFinder(wishes.stops)
        self._end_tokens = frozenset[int]() if wishes.ignore_eos else loaded.end_tokens
        self._content = Detokenizer(loaded.fast_tokenizer, self._end_tokens)
        self._thoughts = Detokenizer(loaded.fast_tokenizer, self._end_tokens)
        self._started = self._latest = time.monotonic()
        self._completion = self._reasoning = 0
        self._cached: int | None = None
        self._over = False
        self.job = Job(
            prompt=prompt,
            max_new_tokens=max_new_tokens,
            temperature=wishes.temperature,
            top_k=wishes.top_k,
            top_p=wishes.top_p,
            end_tokens=self._end_tokens,
            on_tokens=self._on_tokens,
            on_failure=self._on_failure,
        )

    @property
    def stop(self) -> str | None:
        return self._stop.found

    @property
    def thinks(self) -> bool:
        return self._splitter is not None

    @property
    def usage(self) -> Usage:
        reasoning = self._reasoning if self._splitter is not None else None
        return Usage(len(self.job.prompt), self._completion, self._cached, reasoning)

    async def next(self) -> Piece:
        return await self._queue.get()

    def cancel(self) -> None:
        """For an answer that nobody waits for any more; nothing happens when it is complete."""
        if not self._over:
            self._over = True
            self._batcher.cancel(self.job)
            self._metrics.aborted()
            self._queue.put_nowait(Piece(error=ApiError(499, "the client left", code="cancelled")))

    def _on_tokens(self, new: list[int], cached: int | None, done: bool) -> None:
        if self._over:
            return
        self._measure(len(new), cached)
        content, reasoning = self._read(new)
        if done:
            content, reasoning = content + self._content.flush(), reasoning + self._thoughts.flush()
        content = self._stop.push(content)
        if self._stop.found is not None:
            self._finish("stop", content, reasoning, cancel=not done)
        elif done:
            reason = "stop" if new and new[-1] in self._end_tokens else "length"
            self._finish(reason, content + self._stop.flush(), reasoning)
        elif content or reasoning:
            self._queue.put_nowait(Piece(content, reasoning))

    def _read(self, new: list[int]) -> tuple[str, str]:
        if self._splitter is None:
            return self._content.push(new), ""
        content, reasoning = [], []
        for tokens, thinking in self._splitter.push(new):
            if thinking:
                self._reasoning += len(tokens)
                reasoning.append(self._thoughts.push(tokens))
            else:
                content.append(self._content.push(tokens))
        return "".join(content), "".join(reasoning)

    def _finish(self, reason: str, content: str, reasoning: str, *, cancel: bool = False) -> None:
        self._over = True
        if cancel:
            self._batcher.cancel(self.job)
        self._metrics.whole.observe(time.monotonic() - self._started)
        self._metrics.finished(reason)
        self._queue.put_nowait(Piece(content, reasoning, finish_reason=reason))

    def _on_failure(self, message: str) -> None:
        if not self._over:
            self._over = True
            self._metrics.failed()
            self._queue.put_nowait(Piece(error=ApiError(500, message, code="engine_failed")))

    def _measure(self, count: int, cached: int | None) -> None:
        now = time.monotonic()
        if self._completion == 0 and count:
            self._metrics.first_token.observe(now - self._started)
            self._metrics.prompt_tokens.inc(len(self.job.prompt))
            self._measure_cache(cached)
        elif count:
            self._metrics.between_tokens.observe((now - self._latest) / count)
        self._metrics.generation_tokens.inc(count)
        self._completion += count
        self._latest = now

    def _measure_cache(self, cached: int | None) -> None:
        self._cached = cached
        if cached is not None:
            self._metrics.prefix_queries.inc(len(self.job.prompt))
            self._metrics.prefix_hits.inc(cached)
