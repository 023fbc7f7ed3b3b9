"""Sends an answer to its client, whole or as server-sent events, and cancels it as soon as the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from engines.hf import errors
from engines.hf.generation import Generation, Piece
from engines.hf.replies import DONE, Events, Head, answer, error_event

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    def __init__(self, generation: Generation, head: Head, *, include_usage: bool) -> None:
        self._generation = generation
        self._events = Events(head)
        self._include_usage = include_usage
        self._begun = False
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with cancelling(self._generation, receive) as gone:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            while True:
                piece = await self._generation.next()
                if gone.done():
                    return
                body = self._render(piece)
                await send({"type": "http.response.body", "body": body, "more_body": not piece.last})
                if piece.last:
                    return

    def _render(self, piece: Piece) -> bytes:
        if piece.error is not None:
            return error_event(piece.error)
        events = self._events
        body = b"" if self._begun else events.role()
        self._begun = True
        if piece.reasoning:
            body += events.reasoning(piece.reasoning)
        if piece.content:
            body += events.text(piece.content)
        if piece.finish_reason is not None:
            body += events.finish(piece.finish_reason, self._generation.stop)
            body += events.usage(self._generation.usage) if self._include_usage else b""
            body += DONE
        return body


async def whole(generation: Generation, head: Head, receive: Receive, *, thinks: bool) -> Response:
    content, reasoning = [], []
    async with cancelling(generation, receive):
        while True:
            piece = await generation.next()
            content.append(piece.content)
            reasoning.append(piece.reasoning)
            if piece.error is not None:
                return JSONResponse(errors.body(piece.error), status_code=piece.error.status)
            if piece.finish_reason is not None:
                break
    body = answer(
        head,
        content="".join(content),
        reasoning="".join(reasoning) if thinks else None,
        finish_reason=piece.finish_reason,
        stop=generation.stop,
        usage=generation.usage,
    )
    return JSONResponse(body)


@asynccontextmanager
async def cancelling(generation: Generation, receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """Watches the connection meanwhile; however the block is left, the answer does not run on."""
    gone = asyncio.create_task(_until_gone(receive, generation))
    try:
        yield gone
    finally:
        gone.cancel()
        generation.cancel()


async def _until_gone(receive: Receive, generation: Generation) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    generation.cancel()
