"""The generator's own HTTP/1.1: streamed answers read in the socket's callback, so that one core carries 500 a second.

Each answer is stamped when its bytes arrive, before anything is parsed. No retries, no redirects, no proxy.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, monotonic_ns
from typing import cast
from urllib.parse import urlsplit

import httptools

from engines.adapters.base import Adapter
from engines.client import EngineFailure, Failure, Operation
from engines.payloads import decode
from engines.sse import DONE, EventTooLarge, Splitter
from gates.load.samples import SampleOutcome

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 3.0  # engines on uvicorn close after 5 s: never use a socket that may be closing
MAX_ERROR_BODY = 64 * 1024
NO_CONNECTION = "No connection could be made."


@dataclass(slots=True)
class Answer:
    """What happened to one request, filled in as it happens, so that a cancelled one keeps what it had.

    Times are time.monotonic_ns(). `first_token_ns`: first chunk with text, reasoning or a tool call.
    """

    sent_ns: int | None = None
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    end_ns: int | None = None
    outcome: SampleOutcome | None = None
    status_code: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    engine: str = ""
    error: str = ""

    def end(self, outcome: SampleOutcome, at: int, error: str = "") -> None:
        """The first end counts."""
        if self.outcome is None:
            self.outcome, self.end_ns, self.error = outcome, at, error


class Connection(asyncio.Protocol):
    """One socket, one exchange at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, adapter: Adapter) -> None:
        self.closed = False
        self.idle_since = 0.0
        self._loop, self._adapter = loop, adapter
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[None] | None = None
        self._stamp = 0

    async def ask(self, request: bytes, answer: Answer) -> None:
        """Returns when the answer has ended, one way or another; `answer` says how."""
        self._answer, self._done = answer, self._loop.create_future()
        self._splitter, self._content_type, self._body = Splitter(), b"", b""
        self._over = self._eof_ends = self._finished = False
        self._headers_done = False
        answer.sent_ns = monotonic_ns()
        cast("asyncio.Transport", self._transport).write(request)
        await self._done

    @property
    def reusable(self) -> bool:
        return self._over and not self.closed

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol and httptools call these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._stamp = monotonic_ns()
        if self._done is None or self._done.done():
            self.abort()  # bytes that nobody asked for
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(SampleOutcome.TRANSPORT_ERROR, "The answer is not valid HTTP.")
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._stamp = monotonic_ns()
        if self._done is None or self._done.done():
            return
        if not self._headers_done or exc is not None:
            self._end(SampleOutcome.TRANSPORT_ERROR, "The connection broke.")
        elif self._eof_ends or self._finished:
            self._conclude()
        else:
            self._end(SampleOutcome.TRUNCATED, "The connection ended before the answer.")

    def on_message_begin(self) -> None:
        self._eof_ends = True

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-type":
            self._content_type = value
        elif lower in (b"content-length", b"transfer-encoding"):
            self._eof_ends = False
        elif lower == b"x-chosen-engine":
            self._answer.engine = value.decode("latin-1")[:100]

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self._headers_done, self._answer.status_code = True, status
            self._streams = status == 200 and self._content_type.startswith(b"text/event-stream")

    def on_body(self, body: bytes) -> None:
        if not self._streams:
            self._body += body[: MAX_ERROR_BODY - len(self._body)]
            return
        if self._answer.outcome is not None:
            return
        try:
            for payload in self._splitter.feed(body):
                self._take(payload)
        except EventTooLarge:
            self._refuse("One event of the answer is too large.")
        except EngineFailure as failed:
            self._refuse(failed.failure.message)

    def on_message_complete(self) -> None:
        if not self._headers_done:
            return
        self._over = True
        if not self._parser.should_keep_alive():
            self.closed = True
        self._conclude()

    # What the events mean.

    def _take(self, payload: bytes) -> None:
        if payload == DONE:
            self._finished = True
            return
        chunk = self._adapter.parse_event(Operation.CHAT, decode(payload))
        if isinstance(chunk, Failure):
            raise EngineFailure(chunk)
        answer = self._answer
        if chunk.has_content:
            if answer.first_token_ns is None:
                answer.first_token_ns = self._stamp
            answer.last_token_ns = self._stamp
        if chunk.finish_reason is not None:
            self._finished = True
        if chunk.usage is not None:
            usage = chunk.usage
            answer.input_tokens, answer.output_tokens = usage.input_tokens, usage.output_tokens
            answer.cached_tokens = usage.cached_tokens

    def _conclude(self) -> None:
        """The answer has come to its end as HTTP sees it."""
        answer = self._answer
        if not self._streams:
            self._end(SampleOutcome.HTTP_ERROR, self._said())
        elif not self._finished:
            self._end(SampleOutcome.TRUNCATED, "The stream ended without a finish reason or [DONE].")
        elif answer.first_token_ns is None:
            self._end(SampleOutcome.EMPTY, "The answer holds no text.")
        else:
            self._end(SampleOutcome.OK)

    def _said(self) -> str:
        if self._answer.status_code == 200:
            return "The answer is no event stream."
        kind = self._content_type.decode("latin-1")
        return self._adapter.parse_error(
            status=self._answer.status_code or 0, content_type=kind, body=self._body
        ).message

    def _refuse(self, message: str) -> None:
        self._end(SampleOutcome.HTTP_ERROR, message)
        self.abort()

    def _end(self, outcome: SampleOutcome, error: str = "") -> None:
        self._answer.end(outcome, self._stamp, error)
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


class Wire:
    """Connections to one address. `allowed` checks each peer address at connect."""

    def __init__(self, url: str, adapter: Adapter, *, allowed: Callable[[str], bool] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("A target's address is http or https with a host.")
        self.base_path = parts.path.rstrip("/")
        self.host, self.port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self._adapter, self._allowed = adapter, allowed
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._address = ""  # looked up once, with the first connection
        self._idle: list[Connection] = []

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def exchange(self, request: bytes, answer: Answer) -> None:
        """Send and follow to the end. Cancelling it closes the socket, which makes the engine stop."""
        connection = self._from_pool()
        try:
            connection = connection or await self._connect()
        except (OSError, TimeoutError) as error:
            answer.end(SampleOutcome.TRANSPORT_ERROR, monotonic_ns(), _words(error))
            return
        try:
            await connection.ask(request, answer)
        finally:
            if connection.reusable:
                connection.idle_since = monotonic()
                self._idle.append(connection)
            else:
                connection.abort()

    def close(self) -> None:
        """Close what is idle: the next phase begins with fresh connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def _from_pool(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and monotonic() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            transport, connection = await loop.create_connection(
                lambda: Connection(loop, self._adapter),
                self._address or self.host,
                self.port,
                ssl=self._tls,
                server_hostname=self.host if self._tls else None,
            )
        peer = str(transport.get_extra_info("peername")[0])
        if self._allowed is not None and not self._allowed(peer):
            connection.abort()
            raise PermissionError(f"{peer} lies outside the allowed networks.")
        self._address = peer
        return connection


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"No connection within {CONNECT_SECONDS:g} s."
    return str(error) if isinstance(error, PermissionError) and not error.errno else NO_CONNECTION
