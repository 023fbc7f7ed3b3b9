"""HttpEngineClient: the engine contract over HTTP, for probes, check lists and gate runs against one engine.

The gateway has its own transport, because it forwards raw events.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from copy import copy
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from engines.adapters.base import Adapter, Listing
from engines.client import (
    Chunk,
    EngineFailure,
    EngineHealth,
    Failure,
    FailureKind,
    Feature,
    GenerateRequest,
    GenerateResponse,
    Operation,
    Support,
)
from engines.payloads import decode
from engines.sse import DONE, EventTooLarge, Splitter
from engines.transport import TOO_LARGE, TRUNCATED, deadline, exchange, new_session, read_all

__all__ = ["Deadlines", "HttpEngineClient", "new_session"]

PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `first` runs until the first content; comments and empty events do not stretch it."""

    first: float = 30.0
    idle: float = 30.0
    total: float = 900.0


class HttpEngineClient:
    """EngineClient over one adapter and one replica. `record` is the engine's feature record."""

    def __init__(
        self,
        adapter: Adapter,
        base_url: str,
        *,
        session: aiohttp.ClientSession,
        served_model: str,
        api_key: str | None = None,
        record: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self.adapter = adapter
        self.base_url = base_url.rstrip("/")
        self.served_model = served_model
        self.record = record or {}
        self.deadlines = deadlines or Deadlines()
        self.probe_seconds = probe_seconds
        self._session = session
        self._api_key = api_key

    async def generate(self, request: GenerateRequest) -> GenerateResponse:
        path, body = self._prepared(request, stream=False)
        async with deadline(self.deadlines.total):
            answer = await self._post(path, body, request.request_id)
        chunk, usage = self.adapter.parse_response(request.operation, answer)
        if chunk.finish_reason is None:
            raise EngineFailure(TRUNCATED)
        return GenerateResponse(chunk.text, chunk.finish_reason, usage, chunk.reasoning, chunk.tool_calls)

    async def stream(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        """Chunks as they come. Wrap in contextlib.aclosing: leaving early then aborts the engine at once."""
        path, body = self._prepared(request, stream=True)
        reader = _Reader(self.adapter, request.operation, self.deadlines)
        async with AsyncExitStack() as stack:
            async with deadline(reader.seconds_left()):
                sent = self._exchange("POST", path, body=body, request_id=request.request_id)
                response = await stack.enter_async_context(sent)
                await self._check(response, "text/event-stream")
            while not reader.ended:
                for chunk in await reader.read(response):
                    yield chunk
        if not reader.finished:
            raise EngineFailure(TRUNCATED)

    async def tokenize(self, text: str) -> list[int]:
        asked = self.adapter.tokenize_request(text, served_model=self.served_model)
        if asked is None:
            message = f"{self.adapter.title} has no tokenize endpoint."
            raise EngineFailure(Failure(FailureKind.BAD_REQUEST, message))
        path, body = asked
        async with deadline(self.deadlines.first):
            return self.adapter.parse_tokens(await self._post(path, orjson.dumps(body)))

    async def health(self) -> EngineHealth:
        """One probe without generating: /health, /v1/models and metrics side by side, 2 s for all."""
        alive, models, metrics = await asyncio.gather(
            self.get(self.adapter.health_path), self.models(), self.metrics(), return_exceptions=True
        )
        for answer in (alive, models, metrics):
            if isinstance(answer, BaseException) and not isinstance(answer, EngineFailure):
                raise answer
        listing = models if isinstance(models, Listing) else Listing(())
        if isinstance(alive, EngineFailure):
            timed_out = alive.failure.kind is FailureKind.TIMEOUT
            return EngineHealth(False, timed_out=timed_out, error=alive.failure.message, error_kind=alive.failure.kind)
        return EngineHealth(
            True,
            inputs=metrics if isinstance(metrics, tuple) else self.adapter.parse_metrics(""),
            served_models=listing.models,
            context_length=listing.context_length,
            error=models.failure.message if isinstance(models, EngineFailure) else "",
        )

    def with_deadlines(self, deadlines: Deadlines) -> "HttpEngineClient":
        """The same replica with other limits."""
        other = copy(self)
        other.deadlines = deadlines
        return other

    def wire(self, request: GenerateRequest) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and headers of a streamed generation, for a load generator with a transport of its own."""
        path, body = self._prepared(request, stream=True)
        return path, body, self.adapter.headers(api_key=self._api_key, request_id=request.request_id)

    def supports(self, feature: Feature) -> Support:
        return self.adapter.supports(feature, self.record)

    async def get(self, path: str) -> bytes:
        """The body of a 200, within a probe's 2 s and 4 MiB."""
        async with deadline(self.probe_seconds), self._exchange("GET", path) as response:
            await self._check(response, "")
            return await read_all(response)

    async def post(self, path: str, *, seconds: float) -> None:
        """An act of the engine's own, like going to sleep. Raises EngineFailure unless it answers 200."""
        async with deadline(seconds), self._exchange("POST", path) as response:
            await self._check(response, "")

    async def models(self) -> Listing:
        return self.adapter.parse_models(decode(await self.get("/v1/models")))

    async def metrics(self) -> tuple[Any, ...]:
        text = (await self.get(self.adapter.metrics_path)).decode("utf-8", "replace")
        return self.adapter.parse_metrics(text)

    async def version(self) -> str | None:
        """What GET /version says; None where there is no such thing."""
        try:
            stated = decode(await self.get("/version")).get("version")
        except EngineFailure:
            return None
        return stated[:64] if isinstance(stated, str) else None

    def _prepared(self, request: GenerateRequest, *, stream: bool) -> tuple[str, bytes]:
        body: dict[str, Any] = {**request.body, "stream": stream}
        if request.operation is Operation.CHAT:
            body["messages"] = [dict(message) for message in request.messages]
        else:
            body["prompt"] = request.prompt
        if request.max_tokens is not None:
            body["max_tokens"] = request.max_tokens
        prepared = self.adapter.prepare(request.operation, body, served_model=self.served_model, record=self.record)
        return prepared.path, orjson.dumps(prepared.body)

    def _exchange(self, method: str, path: str, *, body: bytes | None = None, request_id: str = "") -> Any:
        headers = self.adapter.headers(api_key=self._api_key, request_id=request_id)
        return exchange(self._session, method, self.base_url + path, headers=headers, body=body)

    async def _post(self, path: str, body: bytes, request_id: str = "") -> dict[str, Any]:
        async with self._exchange("POST", path, body=body, request_id=request_id) as response:
            await self._check(response, "application/json")
            return decode(await read_all(response))

    async def _check(self, response: aiohttp.ClientResponse, content_type: str) -> None:
        """Raises EngineFailure unless the answer is a 200 of the wanted type."""
        if response.status == 200 and response.content_type.startswith(content_type):
            return
        raise EngineFailure(
            self.adapter.parse_error(
                status=response.status,
                content_type=response.content_type,
                body=await read_all(response),
                retry_after=response.headers.get("Retry-After"),
            )
        )


class _Reader:
    """The state of one stream being read: deadlines, what finished, and a failure that comes after chunks."""

    def __init__(self, adapter: Adapter, operation: Operation, deadlines: Deadlines) -> None:
        self.ended = self.finished = False
        self._adapter, self._operation, self._deadlines = adapter, operation, deadlines
        self._splitter = Splitter()
        self._started = asyncio.get_running_loop().time()
        self._content = False
        self._failure: Failure | None = None

    def seconds_left(self) -> float:
        passed = asyncio.get_running_loop().time() - self._started
        wait = self._deadlines.idle if self._content else self._deadlines.first - passed
        return min(wait, self._deadlines.total - passed)

    async def read(self, response: aiohttp.ClientResponse) -> list[Chunk]:
        """The chunks of the next events; a failure among them is raised once they were handed out."""
        if self._failure:
            raise EngineFailure(self._failure)
        chunks: list[Chunk] = []
        async with deadline(self.seconds_left()):
            while not (chunks or self.ended or self._failure):
                data = await response.content.readany()
                self.ended = not data
                self._take(data, chunks)
        if self._failure and not chunks:
            raise EngineFailure(self._failure)
        return chunks

    def _take(self, data: bytes, chunks: list[Chunk]) -> None:
        try:
            for payload in self._splitter.feed(data) if data else self._splitter.flush():
                if payload == DONE:
                    self.ended = True
                    return
                chunks.append(self._chunk(payload))
        except EventTooLarge:
            self._failure = TOO_LARGE
        except EngineFailure as failed:
            self._failure = failed.failure

    def _chunk(self, payload: bytes) -> Chunk:
        chunk = self._adapter.parse_event(self._operation, decode(payload))
        if isinstance(chunk, Failure):
            raise EngineFailure(chunk)
        self._content = self._content or chunk.has_content
        self.finished = self.finished or chunk.finish_reason is not None
        return chunk
