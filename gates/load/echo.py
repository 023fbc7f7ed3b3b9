"""An echo server: streams a fixed answer at a fixed pace. What the self-test and bench/load.py measure against."""

import asyncio
from typing import cast

import httptools
import orjson

TOKENS = 16


def _event(body: object) -> bytes:
    data = b"data: " + (body if isinstance(body, bytes) else orjson.dumps(body)) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _delta(delta: dict[str, str], reason: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "echo", "object": "chat.completion.chunk", "created": 1, "model": "echo", "choices": [choice]}


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = _event(_delta({"role": "assistant", "content": ""}))
TOKEN = _event(_delta({"content": " word"}))
USAGE = {"prompt_tokens": 8, "completion_tokens": TOKENS, "total_tokens": 8 + TOKENS}
LAST = (
    _event(_delta({}, "stop"))
    + _event({**_delta({}), "choices": [], "usage": USAGE})
    + _event(b"[DONE]")
    + b"0\r\n\r\n"
)


class Echo(asyncio.Protocol):
    """One connection. `pace` seconds lie before each token."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(HEAD + ROLE)
        asyncio.get_running_loop().call_later(self._pace, self._piece, TOKENS)

    def _piece(self, left: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(TOKEN if left > 1 else TOKEN + LAST)
        if left > 1:
            asyncio.get_running_loop().call_later(self._pace, self._piece, left - 1)


async def start(port: int = 0, *, pace: float = 0.005) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: Echo(pace), "127.0.0.1", port)
