"""The request body: read within its limits, parsed strictly."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import orjson

from routing.gateway.drive import Suspended, at_once, resume
from routing.gateway.errors import ApiError, ClientGone

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 64
READ_SECONDS = 30.0
DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_SECONDS = 2.0

Receive = Callable[[], Coroutine[Any, Any, Mapping[str, Any]]]


async def read_json(receive: Receive, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Raises ApiError 400, 408, 413 or 415, and ClientGone."""
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise ApiError(415, "unsupported_media_type", "Send the body as 'Content-Type: application/json'.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise ApiError(415, "unsupported_media_type", "Send the body without a Content-Encoding.")
    declared = headers.get(b"content-length", b"")
    too_long = declared.isdigit() and int(declared) > MAX_BYTES
    return parse(await _read(receive, too_long=too_long, waits=b"expect" in headers))


async def _read(receive: Receive, *, too_long: bool, waits: bool) -> bytes:
    if not too_long:
        try:
            first = at_once(receive())
        except Suspended as suspended:
            upcoming: Awaitable[Mapping[str, Any]] = resume(suspended)
        else:
            if not first.get("more_body", False):
                return _part(first, 0)
            upcoming = _ready(first)
        body = await _read_on(receive, upcoming)
        if body is not None:
            return body
    if not waits:
        await _drain(receive)
    raise _too_large()


async def _read_on(receive: Receive, upcoming: Awaitable[Mapping[str, Any]]) -> bytes | None:
    """The body from its first message, which is on its way; None as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            while True:
                message = await upcoming
                part = _part(message, size)
                parts.append(part)
                size += len(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
                if size > MAX_BYTES:
                    return None
                upcoming = receive()
    except TimeoutError:
        raise ApiError(
            408,
            "request_timeout",
            f"The body did not arrive within {READ_SECONDS:g} seconds.",
            kind="timeout_error",
            headers=((b"connection", b"close"),),
        ) from None


async def _ready(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return message


def _part(message: Mapping[str, Any], size: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    part: bytes = message.get("body", b"")
    if size + len(part) > MAX_BYTES and not message.get("more_body", False):
        raise _too_large()
    return part


async def _drain(receive: Receive) -> None:
    """Swallow a little more, so that a client that is still sending gets to read why it was refused."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size < DRAIN_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large() -> ApiError:
    return ApiError(
        413,
        "request_too_large",
        f"The body is larger than {MAX_BYTES // 1024 // 1024} MiB.",
        headers=((b"connection", b"close"),),
    )


def parse(raw: bytes) -> dict[str, Any]:
    """Strict JSON: UTF-8, finite numbers, no lone surrogates, an object at the top, at most MAX_DEPTH deep."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "invalid_json", f"The body is not valid JSON: {str(error)[:200]}.") from None
    if type(body) is not dict:
        raise ApiError(400, "invalid_json", "The body must be a JSON object.")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth_exceeds(body):
        raise ApiError(400, "invalid_json", f"The body is nested more than {MAX_DEPTH} levels deep.")
    return body


def _depth_exceeds(body: object) -> bool:
    level: list[Any] = [body]
    for _ in range(MAX_DEPTH):
        level = [
            item for holder in level for item in (holder.values() if type(holder) is dict else holder)
            if type(item) is dict or type(item) is list
        ]  # fmt: skip
        if not level:
            return False
    return True
