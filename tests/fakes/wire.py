"""What the fake engine writes on the wire: canned error replies, stream events, broken connections."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]

ERROR = {"error": {"message": "engine core died", "type": "InternalServerError", "param": None, "code": 500}}
# mode → (status, body) answered instead of a generation; bytes go out as they are
REPLIES: dict[str, tuple[int, dict[str, Any] | bytes]] = {
    "400": (400, {"error": {"message": "prompt is too long", "type": "BadRequestError", "param": "messages",
                            "code": 400}}),
    "429": (429, {"error": {"message": "slow down", "type": "rate_limit", "param": None, "code": 429}}),
    "500": (500, ERROR),
    "503": (503, {"error": {"message": "The request queue is full.", "type": "Service Unavailable"}}),
    "string_error": (401, {"error": "Unauthorized"}),
    "flat_error": (400, {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400}),
    "detail": (422, {"detail": [{"loc": ["body", "temperature"], "msg": "Input should be a number"}]}),
    "text_error": (502, b"Bad Gateway"),
    "html": (200, b"<html>log in</html>"),
    "garbage": (200, b'{"choices": [{"mess'),
    "redirect": (307, b""),
}  # fmt: skip


class Gone(Exception):
    """Ends a handler whose connection is broken on purpose."""


def choice(chat: bool, text: str, reason: str | None, *, whole: bool = False) -> dict[str, Any]:
    if not chat:
        inner: dict[str, Any] = {"text": text}
    else:
        inner = {"message" if whole else "delta": {"role": "assistant", "content": text}}
    kind = ("chat.completion" if whole else "chat.completion.chunk") if chat else "text_completion"
    return {"id": "fake-1", "object": kind, "created": 1, "model": "m",
            "choices": [{"index": 0, **inner, "finish_reason": reason}]}  # fmt: skip


def usage(body: dict[str, Any], written: int) -> dict[str, int]:
    prompt = len(json.dumps(body.get("messages") or body.get("prompt")).split())
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def event(data: dict[str, Any] | str) -> bytes:
    return b"data: " + (data if isinstance(data, str) else json.dumps(data)).encode() + b"\n\n"


async def break_off(mode: str, transport: Any, send: Send) -> None:
    """Do what the mode says in the middle of a stream; returns for modes that do nothing here."""
    if mode == "error_mid":
        await finish(send, event(ERROR) + event("[DONE]"))
        raise Gone
    if mode == "eof_mid":
        await finish(send, b"")
        raise Gone
    if mode == "garbage_mid":
        await part(send, b'data: {"choices": NaN\n\n')
    if mode in ("cut", "rst_mid"):
        await asyncio.sleep(0.02)  # what was written must reach the reader before the break
        abort(transport, rst=mode == "rst_mid")
    if mode == "hang_mid":
        await asyncio.sleep(3600)


def abort(transport: Any, *, rst: bool) -> None:
    if rst:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    raise Gone


async def start(send: Send, status: int, kind: str, extra: tuple[tuple[str, str], ...] = ()) -> None:
    headers = [(name.encode(), value.encode()) for name, value in (("content-type", kind), *extra)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def part(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def finish(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data})


async def reply(send: Send, status: int, body: dict[str, Any] | bytes, *, kind: str = "",
                retry_after: str | None = None) -> None:  # fmt: skip
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = [("content-length", str(len(data)))]
    extra += [("retry-after", retry_after)] if retry_after is not None else []
    extra += [("location", "http://169.254.169.254/")] if status == 307 else []
    await start(send, status, kind or ("text/html" if isinstance(body, bytes) else "application/json"), tuple(extra))
    await finish(send, data)
