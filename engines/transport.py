"""aiohttp set up for engines: one kind of session, bounded reads, and every error turned into an EngineFailure."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from engines.client import EngineFailure, Failure, FailureKind
from engines.network import Network, guarded_socket

MAX_BODY = 4 << 20
CONNECT_SECONDS = 1.0
KEEPALIVE_SECONDS = 3.0  # engines on uvicorn close idle sockets after 5 s

REFUSED = Failure(FailureKind.REFUSED, "The engine refused the connection.")
NO_CONNECTION = Failure(FailureKind.REFUSED, "The engine accepted no connection within 1 s.")
NOT_ALLOWED = Failure(FailureKind.REFUSED, "The engine's address lies outside the allowed networks.")
NO_NAME = Failure(FailureKind.REFUSED, "The engine's host name cannot be resolved.")
TLS = Failure(FailureKind.REFUSED, "The engine's certificate is not trusted, or it speaks no TLS on this port.")
RESET = Failure(FailureKind.RESET, "The engine closed the connection before it answered.")
TRUNCATED = Failure(FailureKind.TRUNCATED, "The engine's answer broke off before its end.")
NOT_HTTP = Failure(FailureKind.MALFORMED, "The engine's answer is not proper HTTP.")
TOO_LARGE = Failure(FailureKind.MALFORMED, "The engine's answer is larger than allowed.")
TIMEOUT = Failure(FailureKind.TIMEOUT, "The engine did not answer in time.")


def new_session(networks: Iterable[Network], *, user_agent: str = "engine-console") -> aiohttp.ClientSession:
    """A session for engines only: no cookies, proxies or decompression; each address checked at connect."""
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=10,
            socket_factory=guarded_socket(networks),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        trust_env=False,
        auto_decompress=False,
        raise_for_status=False,
        max_line_size=8190,
        max_field_size=8190,
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS),
        trace_configs=[tracing],
    )


@asynccontextmanager
async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """One request; leaving the block before the answer's end closes the connection, which aborts the engine."""
    response = None
    try:
        response = await _send(session, method, url, headers=headers, body=body)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise EngineFailure(NOT_HTTP)
        yield response
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        raise EngineFailure(failure_of(error, answered=response is not None)) from error
    finally:
        if response is not None:
            response.close()


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Raises EngineFailure(TIMEOUT) when the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise EngineFailure(TIMEOUT) from None


async def read_all(response: aiohttp.ClientResponse, limit: int = MAX_BODY) -> bytes:
    """The whole body. Raises EngineFailure past the limit."""
    parts, size = [], 0
    while chunk := await response.content.readany():
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise EngineFailure(TOO_LARGE)
    return b"".join(parts)


def failure_of(error: Exception, *, answered: bool) -> Failure:
    """What an exception of aiohttp or the socket means. `answered`: the response's headers had come."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NO_NAME
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return TLS
    if isinstance(error, aiohttp.ServerTimeoutError):
        return NO_CONNECTION
    if isinstance(error, PermissionError) or isinstance(getattr(error, "os_error", None), PermissionError):
        return NOT_ALLOWED
    if isinstance(error, aiohttp.ClientConnectorError):
        return REFUSED
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError | aiohttp.InvalidURL):
        return NOT_HTTP
    return TRUNCATED if answered else RESET


async def _send(
    session: aiohttp.ClientSession, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None
) -> aiohttp.ClientResponse:
    """A pooled socket that turns out closed is no fault of the engine: once more, on a fresh one."""
    for attempt in (1, 2):
        seen: dict[str, bool] = {}
        try:
            return await session.request(
                method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=seen
            )
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            stale = seen.get("reused") and not isinstance(error, aiohttp.ClientConnectorError)
            if attempt == 2 or not stale:
                raise
    raise AssertionError("unreachable")


async def _note_reuse(_session: Any, context: Any, _params: Any) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx["reused"] = True
