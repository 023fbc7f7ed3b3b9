"""The HTTP surface: routes, key check, body limit, and every refusal in OpenAI's form."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engines.hf import errors, metrics, openai, replies
from engines.hf.errors import ApiError
from engines.hf.generation import Generation
from engines.hf.openai import Wishes
from engines.hf.service import Service, State
from engines.hf.streaming import EventStream, whole

log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
MAX_ID_LENGTH = 128


def build_app(service: Service, on_broken: Callable[[], None] = lambda: None) -> Starlette:
    """`on_broken` is called when the model cannot be served at all."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        starting = asyncio.create_task(service.start())
        starting.add_done_callback(lambda task: on_broken() if _failed(task) else None)
        yield
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await service.stop()

    routes = _Routes(service)
    app = Starlette(
        routes=[
            Route("/health", routes.health),
            Route("/metrics", routes.metrics),
            Route("/v1/models", routes.guard(routes.models)),
            Route("/v1/chat/completions", routes.guard(routes.chat), methods=["POST"]),
            Route("/v1/completions", routes.guard(routes.completions), methods=["POST"]),
            Route("/tokenize", routes.guard(routes.tokenize), methods=["POST"]),
            Route("/detokenize", routes.guard(routes.detokenize), methods=["POST"]),
        ],
        exception_handlers={
            ApiError: _refuse,
            HTTPException: _refuse_http,
            ClientDisconnect: _nobody_waits,
            Exception: _refuse_unforeseen,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._key = service.config.api_key

    def guard(self, endpoint: Endpoint) -> Endpoint:
        if self._key is None:
            return endpoint
        expected = f"Bearer {self._key}".encode()

        async def guarded(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                raise ApiError(401, "send the engine's key as a bearer token", code="invalid_api_key")
            return await endpoint(request)

        return guarded

    async def health(self, request: Request) -> Response:
        state = self._service.state
        return JSONResponse({"status": state.value}, status_code=200 if state is State.READY else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self._service.metrics.render(), headers={"content-type": metrics.CONTENT_TYPE})

    async def models(self, request: Request) -> Response:
        service = self._service
        limit = service.max_model_len
        name = service.config.name
        return JSONResponse(replies.model_list(name, created=service.started, root=name, max_model_len=limit))

    async def chat(self, request: Request) -> Response:
        body = await self._body(request)
        self._service.refuse_unless_ready()
        openai.check_model(body, self._service.config.name)
        wanted = openai.parse_chat(body)
        prompt = await self._service.render_chat(wanted.messages, wanted.template_options)
        return await self._answer(request, prompt, wanted.wishes, chat=True)

    async def completions(self, request: Request) -> Response:
        body = await self._body(request)
        self._service.refuse_unless_ready()
        openai.check_model(body, self._service.config.name)
        wanted = openai.parse_completion(body)
        prompt = wanted.prompt
        if isinstance(prompt, str):
            prompt = await self._service.encode(prompt, special=True)
        return await self._answer(request, prompt, wanted.wishes, chat=False)

    async def tokenize(self, request: Request) -> Response:
        body = await self._body(request)
        service = self._service
        openai.check_model(body, service.config.name, required=False)
        wanted = openai.parse_tokenize(body)
        tokens = await service.tokenize(wanted)
        names = service.loaded.tokenizer.convert_ids_to_tokens(tokens) if wanted.with_strings else None
        return JSONResponse(
            {"count": len(tokens), "max_model_len": service.max_model_len, "tokens": tokens, "token_strs": names}
        )

    async def detokenize(self, request: Request) -> Response:
        body = await self._body(request)
        service = self._service
        openai.check_model(body, service.config.name, required=False)
        tokens = openai.parse_token_ids(body, "tokens", service.loaded.vocabulary)
        return JSONResponse({"prompt": service.loaded.fast_tokenizer.decode(tokens, skip_special_tokens=False)})

    async def _body(self, request: Request) -> openai.Body:
        limit = self._service.config.max_body_bytes
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise ApiError(413, f"the body is larger than {limit} bytes", code="body_too_large")
            chunks.append(chunk)
        return openai.parse_body(b"".join(chunks))

    async def _answer(self, request: Request, prompt: list[int], wishes: Wishes, *, chat: bool) -> Response:
        generation = self._service.begin(prompt, wishes, chat=chat)
        head = self._head(request, chat=chat)
        if wishes.stream:
            return EventStream(generation, head, include_usage=wishes.include_usage)
        return await self._whole(request, generation, head)

    async def _whole(self, request: Request, generation: Generation, head: replies.Head) -> Response:
        return await whole(generation, head, request.receive, thinks=generation.thinks)

    def _head(self, request: Request, *, chat: bool) -> replies.Head:
        given = request.headers.get("x-request-id", "")[:MAX_ID_LENGTH]
        prefix = "chatcmpl" if chat else "cmpl"
        return replies.Head(f"{prefix}-{given or uuid.uuid4().hex}", int(time.time()), self._service.config.name, chat)


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    return JSONResponse(errors.body(error), status_code=error.status, headers=headers)


async def _refuse_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    texts = {404: f"no such route: {request.url.path[:200]}", 405: f"{request.method} is not allowed here"}
    codes = {404: "route_not_found", 405: "method_not_allowed"}
    refused = ApiError(error.status_code, texts.get(error.status_code, error.detail), code=codes.get(error.status_code))
    return JSONResponse(errors.body(refused), status_code=error.status_code, headers=error.headers)


async def _nobody_waits(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _refuse_unforeseen(request: Request, error: Exception) -> Response:
    log.error("unforeseen error at %s", request.url.path, exc_info=error)
    return await _refuse(request, ApiError(500, "the engine met an internal error", code="internal_error"))
