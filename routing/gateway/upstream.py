"""A lean HTTP/1.1 client to engines: pooled connections, answers read as they come, framing checked.

Written for the budget that bench/gateway.py measures. No redirects, no decompression, no timers in here: whoever
waits is woken by `Connection.interrupt` or `nudge`.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import cast

import httptools

from engines.client import EngineFailure, Failure, FailureKind
from routing.gateway.address import Address

IDLE_SECONDS = 3.0  # engines on uvicorn close after 5 s: never use a socket that may be closing
CONNECT_SECONDS = 1.0
HIGH_WATER = 256 * 1024
MAX_HEADERS = 128
MAX_HEADER_BYTES = 32 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024


def failure(kind: FailureKind, message: str) -> EngineFailure:
    return EngineFailure(Failure(kind, message))


class Connection(asyncio.Protocol):
    """One socket to an engine, used by one exchange at a time."""

    __slots__ = (
        "_chunks", "_eof_ends", "_error", "_header_bytes", "_nudged", "_parser", "_paused", "_size", "_waiter",
        "closed", "complete", "headers", "headers_done", "idle_since", "last_byte", "loop", "pool_key", "reused",
        "sink", "status", "transport",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, pool_key: Address) -> None:
        self.loop = loop
        self.pool_key = pool_key
        self.closed = False
        self.reused = False
        # Takes what comes of the body at once, as long as it returns True; then read() has it again.
        self.sink: Callable[[bytes], bool] | None = None
        self.idle_since = 0.0
        self.last_byte = 0.0
        self.transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.headers_done = False
        self.complete = False
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._header_bytes = 0
        self._error: Exception | None = None
        self._eof_ends = False
        self._paused = False
        self._nudged = False
        self.sink = None

    # What an exchange does with it.

    def start(self, request: bytes) -> None:
        self._reset()
        if self.transport is not None:
            self.transport.write(request)

    @property
    def untouched(self) -> bool:
        """No byte of the answer has come: on a reused socket that means it was stale."""
        return self.last_byte == 0.0

    async def head(self) -> bool:
        """True when status and headers are here, False after a nudge. Raises EngineFailure."""
        while not self.headers_done:
            if await self._wait():
                return False
        return True

    async def read(self) -> bytes | None:
        """What has come of the body, b"" at its end, None after a nudge. Raises EngineFailure."""
        chunks = self._chunks
        while not chunks:
            if self.complete:
                return b""
            if await self._wait():
                return None
        data = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def read_all(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            data = await self.read()
            if data == b"":
                return b"".join(parts)
            if data is not None:
                size += len(data)
                if size > MAX_BODY_BYTES:
                    raise failure(FailureKind.MALFORMED, "The engine's answer is too large.")
                parts.append(data)

    def nudge(self) -> None:
        self._nudged = True
        self._wake()

    def interrupt(self, error: Exception) -> None:
        """Raise `error` in whatever waits here; the socket is of no further use."""
        if self._error is None:
            self._error = error
        self.abort()
        self._wake()

    def abort(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    async def _wait(self) -> bool:
        """True after a nudge, False when something came. Raises what interrupted it."""
        if self._error is None and not self._nudged:
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            return False
        if self._error is not None:
            raise self._error
        self._nudged = False
        return True

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # asyncio.Protocol and httptools call these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.last_byte = monotonic()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, EngineFailure) as error:
            self.interrupt(
                error
                if isinstance(error, EngineFailure)
                else failure(FailureKind.MALFORMED, "The engine's answer is not valid HTTP.")
            )
            return
        if self.sink is not None and self._chunks and self._pour(self.sink):
            return
        if self._chunks or self.complete or self.headers_done:
            self._wake()
        if self._size > HIGH_WATER and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def _pour(self, sink: Callable[[bytes], bool]) -> bool:
        """True when the sink took it and nobody has to wake."""
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if sink(data):
            return not self.complete
        self.sink = None
        self._nudged = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.complete and self._error is None:
            if self.headers_done and self._eof_ends and exc is None:
                self.complete = True
            elif self.headers_done:
                self._error = failure(FailureKind.TRUNCATED, "The engine ended the answer early.")
            else:
                self._error = failure(FailureKind.RESET, "The engine closed the connection.")
        self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES or len(self.headers) >= MAX_HEADERS:
            raise failure(FailureKind.MALFORMED, "The engine's headers are too large.")
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.headers_done = self.status >= 200
        self._eof_ends = b"content-length" not in self.headers and b"transfer-encoding" not in self.headers

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        if self.status < 200:
            self.headers.clear()
            return
        self.complete = True
        if not self._parser.should_keep_alive():
            self.closed = True


class Pool:
    """Idle connections by address. Its owner bounds how many are busy."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, address_allowed: Callable[[str], bool] | None = None
    ) -> None:
        self._loop = loop
        self._idle: dict[Address, list[Connection]] = {}
        self._address_allowed = address_allowed
        self._tls = ssl.create_default_context()

    async def acquire(self, address: Address, *, fresh: bool = False) -> Connection:
        """Raises EngineFailure (refused) when the engine cannot be reached."""
        idle = self._idle.get(address)
        while idle and not fresh:
            connection = idle.pop()
            if not connection.closed and monotonic() - connection.idle_since < IDLE_SECONDS:
                connection.reused = True
                connection.last_byte = 0.0
                return connection
            connection.abort()
        return await self._connect(address)

    async def _connect(self, address: Address) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, connection = await self._loop.create_connection(
                    lambda: Connection(self._loop, address),
                    address.host,
                    address.port,
                    ssl=self._tls if address.tls else None,
                )
        except (OSError, TimeoutError) as error:
            raise failure(FailureKind.REFUSED, "The engine cannot be reached.") from error
        peer = transport.get_extra_info("peername")
        if self._address_allowed is not None and not self._address_allowed(str(peer[0])):
            connection.abort()
            raise failure(FailureKind.REFUSED, "The engine's address is not allowed.")
        return connection

    def release(self, connection: Connection) -> None:
        """Keep it for the next exchange if its answer was read to the end, else close it."""
        if connection.complete and not connection.closed:
            connection.idle_since = monotonic()
            self._idle.setdefault(connection.pool_key, []).append(connection)
        else:
            connection.abort()

    def close_stale(self) -> None:
        limit = monotonic() - IDLE_SECONDS
        for address, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since < limit:
                    connection.abort()
            self._idle[address] = [item for item in idle if not item.closed]

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()
