"""One pane of the playground at work: a question to the gateway, frames to the browser, until its end or a stop."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from console import markdown
from console.playground_messages import Question
from console.playground_stream import (
    Answer,
    StreamError,
    read_event,
    read_refusal,
    timings,
    usage_frame,
)
from console.playground_why import OWN_ID, rule_in_words
from engines.client import Chunk
from engines.sse import DONE, EventTooLarge, Splitter

logger = logging.getLogger(__name__)

FRAME_INTERVAL = 0.04
# The gateway ends every request by its own deadline; these only guard against a gateway that hangs.
TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=5, sock_read=180)
MAX_ANSWER_BYTES = 8 << 20

Emit = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where questions go. `token` makes a fresh internal token for each."""

    url: str
    session: aiohttp.ClientSession
    token: Callable[[], str]


class Deltas:
    """Gathers text and sends at most one frame per 40 ms, however fast tokens come."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._sequence = 0
        self._task = asyncio.create_task(self._run())

    def add(self, chunk: Chunk) -> None:
        self._text.append(chunk.text)
        self._reasoning.append(chunk.reasoning)
        self._wake.set()

    async def close(self) -> None:
        """Send what is left; nothing comes after."""
        self._closed.set()
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while not self._closed.is_set():
            await self._wake.wait()
            self._wake.clear()
            await self._flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), FRAME_INTERVAL)
        await self._flush()

    async def _flush(self) -> None:
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        self._text.clear()
        self._reasoning.clear()
        if text or reasoning:
            self._sequence += 1
            await self._emit({"type": "delta", "seq": self._sequence, "text": text, "reasoning": reasoning})


class PaneRun:
    """One question on its way. Cancelling `run` closes the connection, which makes the gateway stop the engine."""

    def __init__(self, question: Question, *, gateway: Gateway, emit: Emit) -> None:
        self.question = question
        self.answer = Answer(sent=time.monotonic(), request_id=OWN_ID + uuid.uuid4().hex)
        self._gateway = gateway
        self._emit = emit

    async def run(self) -> None:
        deltas = Deltas(self._emit)
        try:
            await self._ask(deltas)
        except StreamError as error:
            failure = error
        except TimeoutError:
            failure = StreamError("timeout", "The gateway did not answer in time.", retryable=True)
        except aiohttp.ClientConnectorError:
            failure = StreamError(
                "gateway_unreachable",
                "The gateway cannot be reached. See that it runs, then ask again.",
                retryable=True,
            )
        except aiohttp.ClientError as error:
            logger.warning("Playground stream %s broke: %s", self.answer.request_id, error)
            failure = StreamError("stream_broken", "The connection to the gateway broke off.", retryable=True)
        except EventTooLarge as error:
            failure = StreamError("answer_too_long", str(error), retryable=False)
        except Exception:
            # The task has nobody to raise to: the pane must learn of it, and the log has the trace.
            logger.exception("Playground stream %s failed", self.answer.request_id)
            failure = StreamError("console_error", "The console failed; its log says why.", retryable=True)
        else:
            await deltas.close()
            await self._emit(await self._done())
            return
        finally:
            await deltas.close()
        await self._emit(self._failed(failure))

    async def _ask(self, deltas: Deltas) -> None:
        headers = {
            "authorization": f"Bearer {self._gateway.token()}",
            "x-request-id": self.answer.request_id,
            "x-session-id": self.question.session,
        }
        if self.question.engine:
            headers["x-engine"] = self.question.engine
        self.answer.sent = time.monotonic()
        response = await self._gateway.session.post(
            f"{self._gateway.url}/v1/chat/completions",
            json=self.question.body,
            headers=headers,
            timeout=TIMEOUT,
        )
        try:
            self._note_headers(response)
            if response.status != 200:
                raise read_refusal(await response.content.read(65536), status=response.status)
            await self._read(response, deltas)
        finally:
            response.close()

    def _note_headers(self, response: aiohttp.ClientResponse) -> None:
        headers, answer = response.headers, self.answer
        answer.request_id = headers.get("x-request-id", answer.request_id)
        answer.decision_id = headers.get("x-decision-id", "")
        answer.engine = headers.get("x-chosen-engine", "")
        answer.rule = headers.get("x-decision-rule", "")
        disabled = headers.get("x-features-disabled", "")
        answer.disabled = tuple(name.strip() for name in disabled.split(",") if name.strip())

    async def _read(self, response: aiohttp.ClientResponse, deltas: Deltas) -> None:
        splitter = Splitter(max_stream=MAX_ANSWER_BYTES)
        async for data in response.content.iter_any():
            for payload in splitter.feed(data):
                if payload == DONE:
                    self.answer.complete = True
                    return
                await self._take(payload, deltas)
        raise StreamError("truncated", "The answer broke off before its end.", retryable=True)

    async def _take(self, payload: bytes, deltas: Deltas) -> None:
        chunk, engine = read_event(payload)
        answer = self.answer
        answer.engine = engine or answer.engine
        starts = answer.first is None and chunk.has_content
        answer.take(chunk, now=time.monotonic())
        if starts:
            await self._emit({"type": "first", "ttft_ms": timings(answer, now=time.monotonic())["ttft_ms"],
                              **self._origin()})  # fmt: skip
        if chunk.has_content:
            deltas.add(chunk)

    def _origin(self) -> dict[str, Any]:
        """Who answers and why, as far as the headers said; the recorded decision follows by HTTP."""
        answer = self.answer
        return {
            "engine": answer.engine,
            "rule": rule_in_words(answer.rule) if answer.rule else "",
            "decision_id": answer.decision_id,
            "request_id": answer.request_id,
            "features_disabled": list(answer.disabled),
        }

    async def _done(self) -> dict[str, Any]:
        answer = self.answer
        figures = timings(answer, now=time.monotonic())
        html = await asyncio.to_thread(markdown.render, "".join(answer.text))
        return {"type": "done", "finish_reason": answer.finish_reason, "usage": usage_frame(answer.usage),
                "timings": figures, "html": html, **self._origin()}  # fmt: skip

    def _failed(self, error: StreamError) -> dict[str, Any]:
        return {"type": "error", "code": error.code, "message": error.message, "retryable": error.retryable,
                "partial": self.answer.first is not None,
                "timings": timings(self.answer, now=time.monotonic()), **self._origin()}  # fmt: skip

    def stopped(self, confirmed: bool | None, detail: str) -> dict[str, Any]:
        """`confirmed` None: asked, not known yet."""
        return {"type": "stopped", "engine_confirmed": confirmed, "detail": detail,
                "timings": timings(self.answer, now=time.monotonic()), **self._origin()}  # fmt: skip
