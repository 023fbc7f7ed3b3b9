"""The way back to the client: one JSON answer, or a stream that may end in an error."""

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from routing.gateway.drive import Suspended, at_once, resume

Headers = list[tuple[bytes, bytes]]
Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]

JSON = b"application/json; charset=utf-8"
KEEP_ALIVE = b": keep-alive\n\n"


class Reply:
    """Times are loop seconds. `sending_since` is set while the client's socket takes no more."""

    __slots__ = ("_loop", "_send", "ended_at", "sending_since", "status", "streaming")

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._loop = loop
        self.status = 0
        self.streaming = False
        self.ended_at: float | None = None
        self.sending_since: float | None = None

    async def json(self, status: int, body: bytes, headers: Headers) -> None:
        self.status = status
        self.ended_at = monotonic()
        head = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self, headers: Headers) -> None:
        self.status = 200
        self.streaming = True
        head = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            *headers,
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": head})

    async def part(self, part: bytes) -> None:
        self.sending_since = monotonic()
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        self.sending_since = None

    def push(self, part: bytes) -> None:
        """The same without waiting. Raises Suspended where the client has fallen behind: then `catch_up`."""
        at_once(self._send({"type": "http.response.body", "body": part, "more_body": True}))

    async def catch_up(self, suspended: Suspended) -> None:
        self.sending_since = monotonic()
        await resume(suspended)
        self.sending_since = None

    async def end_stream(self) -> None:
        self.ended_at = monotonic()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def break_stream(self, event: bytes) -> None:
        """A last event; then nothing, so that the server cuts the connection without a regular end."""
        self.ended_at = monotonic()
        await self.part(event)
