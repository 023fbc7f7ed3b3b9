"""uvicorn's HTTP protocol with one difference: the head of an answer leaves together with what follows it.

uvicorn writes both by themselves, and uvloop sends each at once: two system calls here and two wake-ups of the client.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HeadKeeper:
    """A transport that keeps an answer's head back until the next write, the end of the answer or the end of all."""

    __slots__ = ("_head", "_transport", "get_extra_info", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):  # 100 Continue cannot wait
            self._head = data
        elif data:
            self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GatewayProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(HeadKeeper(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        """An answer without a body, to HEAD, has nothing that its head could leave with."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()
