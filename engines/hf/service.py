"""The engine behind the routes: its state from loading to drained, prompts to tokens, admission of answers."""

from __future__ import annotations

import asyncio
import logging
import time
from enum import StrEnum
from typing import Any

import jinja2

from engines.hf import harmony
from engines.hf.batcher import Batcher, BatcherStats, NotRunning, QueueFull, RequestTooLarge
from engines.hf.config import EngineConfig
from engines.hf.errors import ApiError, bad, overloaded
from engines.hf.generation import Generation
from engines.hf.loading import LoadedModel, load
from engines.hf.metrics import Metrics
from engines.hf.openai import TokenizeRequest, Wishes, check_token_ids

log = logging.getLogger(__name__)

LONG_TEXT = 20_000  # characters; above, tokenizing would hold up everybody's stream
WARM_UP = Wishes(
    max_tokens=2, temperature=0.0, top_k=0, top_p=1.0, stops=(), ignore_eos=True, stream=False, include_usage=False
)


class State(StrEnum):
    LOADING = "loading"
    READY = "ok"
    RESTARTING = "restarting"
    STALLED = "stalled"
    DRAINING = "draining"
    FAILED = "failed"


class Service:
    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.started = int(time.time())
        self.metrics = Metrics(config.name, self._stats)
        self.answering = 0
        self._loaded: LoadedModel | None = None
        self._marks: harmony.Markers | None = None
        self._state = State.LOADING
        self.batcher: Batcher | None = None

    async def start(self) -> None:
        try:
            self._loaded = await asyncio.to_thread(load, self.config)
            self._marks = harmony.markers(self._loaded.tokenizer)
            self.batcher = Batcher(self._loaded, self.config)
            await self.batcher.start()
            await self._warm_up()
        except Exception:
            self._state = State.FAILED
            log.exception("the engine cannot start")
            raise
        if self._state is State.LOADING:
            self._state = State.READY
        log.info("serving %s, up to %d tokens a request", self.config.name, self.max_model_len)

    async def stop(self) -> None:
        if self.batcher is not None:
            await self.batcher.stop()

    def drain(self) -> None:
        self._state = State.DRAINING

    @property
    def state(self) -> State:
        if self._state is not State.READY or self.batcher is None:
            return self._state
        if not self.batcher.alive:
            return State.RESTARTING
        return State.STALLED if self.batcher.stalled else State.READY

    @property
    def loaded(self) -> LoadedModel:
        if self._loaded is None:
            raise overloaded("the model is still loading; try again soon")
        return self._loaded

    @property
    def max_model_len(self) -> int:
        return self.batcher.largest_request if self.batcher is not None else self.loaded.context

    def refuse_unless_ready(self) -> None:
        state = self.state
        if state not in (State.READY, State.STALLED):
            raise overloaded(f"the engine is {state.value}; try again soon or another engine")

    async def render_chat(
        self, messages: list[dict[str, Any]], options: dict[str, Any], *, generate: bool = True
    ) -> list[int]:
        tokenizer = self.loaded.tokenizer
        if not tokenizer.chat_template:
            raise bad("this model has no chat template; use /v1/completions", "messages")
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate, **options)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise bad(f"the model's chat template refuses these messages: {error}", "messages") from error
        return await self.encode(text, special=False)

    async def encode(self, text: str, *, special: bool) -> list[int]:
        tokenizer = self.loaded.fast_tokenizer
        if len(text) > LONG_TEXT:
            encoding = await asyncio.to_thread(tokenizer.encode, text, add_special_tokens=special)
        else:
            encoding = tokenizer.encode(text, add_special_tokens=special)
        return list(encoding.ids)

    async def tokenize(self, request: TokenizeRequest) -> list[int]:
        if request.messages is not None:
            return await self.render_chat(
                request.messages, request.template_options, generate=request.add_generation_prompt
            )
        return await self.encode(request.prompt or "", special=request.add_special_tokens)

    def begin(self, prompt: list[int], wishes: Wishes, *, chat: bool) -> Generation:
        """Hands the request to the batcher, or says why not."""
        self.refuse_unless_ready()
        return self._begin(prompt, wishes, chat=chat)

    def _begin(self, prompt: list[int], wishes: Wishes, *, chat: bool) -> Generation:
        param = "messages" if chat else "prompt"
        check_token_ids(prompt, param, self.loaded.vocabulary)
        batcher = self.batcher
        if batcher is None:
            raise overloaded("the model is still loading; try again soon")
        generation = Generation(
            self.loaded,
            self._marks,
            batcher=batcher,
            metrics=self.metrics,
            prompt=prompt,
            wishes=wishes,
            max_new_tokens=answer_limit(len(prompt), wishes.max_tokens, batcher.largest_request, param),
            chat=chat,
        )
        try:
            batcher.submit(generation.job)
        except QueueFull:
            self.metrics.rejected("queue_full")
            raise overloaded("too many requests are waiting; try again soon") from None
        except NotRunning:
            raise overloaded("the engine is restarting; try again soon") from None
        except RequestTooLarge:
            raise bad("the request does not fit the cache", param, "context_length_exceeded") from None
        return generation

    def _stats(self) -> BatcherStats | None:
        return self.batcher.stats() if self.batcher is not None else None

    async def _warm_up(self) -> None:
        generation = self._begin([0], WARM_UP, chat=False)
        while not (piece := await generation.next()).last:
            pass
        if piece.error is not None:
            raise RuntimeError("the first generation failed; see the log above")


def answer_limit(prompt: int, wanted: int | None, limit: int, param: str) -> int:
    """Tokens the answer may have. A request that could outgrow context or cache is refused, not cut."""
    if prompt == 0:
        raise bad(f"{param} is empty", param)
    room = limit - prompt
    if room < 1 or (wanted or 0) > room:
        asked = f" and max_tokens {wanted}" if wanted else ""
        text = f"this engine holds {limit} tokens a request, but the prompt has {prompt}{asked}"
        raise ApiError(400, text, param=param, code="context_length_exceeded")
    return wanted or room
