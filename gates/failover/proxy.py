"""A relay of our own before a live engine. It can refuse, hang, slow down or fail on command; the engine is left alone.

Bytes pass unread; only the error scenarios read a request, to answer it in the engine's place. No Django.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gates.failover.scenarios import Scenario

CHUNK = 64 * 1024
FIRST_BYTE_LATE = 2.0
PIECE_LATE = 0.2
BODY = b'{"error": {"message": "Injected by the failover gate.", "type": "server_error"}}'
STATUS = {Scenario.ERROR: b"503 Service Unavailable", Scenario.ERROR_500: b"500 Internal Server Error"}


@dataclass(slots=True, eq=False)
class Relay:
    """One connection. `asked` is set from the client's bytes until the first of the answer."""

    client: asyncio.StreamWriter
    engine: asyncio.StreamWriter
    asked: bool = False


class FaultProxy:
    """`allowed` checks the address that the engine's name led to, as every connection to an engine is checked."""

    def __init__(self, url: str, *, listen: str = "127.0.0.1", allowed: Callable[[str], bool] | None = None) -> None:
        parts = urlsplit(url)
        self.path = parts.path.rstrip("/")
        self.host, self.port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self.fault: Scenario | None = None
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._listen, self._allowed = listen, allowed
        self._own_port = 0
        self._server: asyncio.Server | None = None
        self._moving = asyncio.Event()
        self._moving.set()
        self._relays: set[Relay] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{self._listen}:{self._own_port}{self.path}"

    async def open(self) -> None:
        """Listen; after a stop on the same port again."""
        self._server = await asyncio.start_server(self._take, self._listen, self._own_port)
        self._own_port = self._server.sockets[0].getsockname()[1]

    async def inject(self, fault: Scenario) -> None:
        self.fault = fault
        if fault is Scenario.STOP:
            await self._shut()
        elif fault is Scenario.HANG:
            self._moving.clear()

    async def heal(self) -> None:
        fault, self.fault = self.fault, None
        self._moving.set()
        if fault is Scenario.STOP:
            await self.open()

    async def close(self) -> None:
        self._moving.set()
        await self._shut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for relay in list(self._relays):
            relay.client.transport.abort()
            relay.engine.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Either side went away, or `close` cancelled this: asyncio's own callback of a cancelled one only makes noise.
        with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._moving.wait()
        from_engine, to_engine = await asyncio.open_connection(
            self.host, self.port, ssl=self._tls, server_hostname=self.host if self._tls else None
        )
        relay = Relay(writer, to_engine)
        try:
            peer = str(to_engine.get_extra_info("peername")[0])
            if self._allowed is not None and not self._allowed(peer):
                raise PermissionError(f"{peer} lies outside the allowed networks.")
            if self._server is None:
                raise ConnectionAbortedError  # stopped while this one was being made
            self._relays.add(relay)
            await _first_of(self._forward(reader, relay), self._back(from_engine, relay))
        finally:
            self._relays.discard(relay)
            to_engine.close()

    async def _forward(self, reader: asyncio.StreamReader, relay: Relay) -> None:
        while data := await reader.read(CHUNK):
            await self._moving.wait()
            if self.fault in STATUS and not relay.asked:
                await _refuse(data, reader, relay.client, STATUS[self.fault])
                return
            relay.asked = True
            relay.engine.write(data)
            await relay.engine.drain()

    async def _back(self, reader: asyncio.StreamReader, relay: Relay) -> None:
        while data := await reader.read(CHUNK):
            await self._moving.wait()
            if self.fault is Scenario.SLOW:
                await asyncio.sleep(FIRST_BYTE_LATE if relay.asked else PIECE_LATE)
            relay.asked = False
            relay.client.write(data)
            await relay.client.drain()


async def _refuse(data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: bytes) -> None:
    """Read the request to its end, so that the answer is not lost in a reset, and answer it."""
    while b"\r\n\r\n" not in data and (more := await reader.read(CHUNK)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    missing = _length(head) - len(body)
    while missing > 0 and (more := await reader.read(CHUNK)):
        missing -= len(more)
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)
    writer.write(head + b"Connection: close\r\n\r\n" + BODY)
    await writer.drain()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
