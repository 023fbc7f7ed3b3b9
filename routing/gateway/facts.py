"""What the rules may know of a request: its size, its sticky key, what it needs, which engine it names."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from engines.client import EngineFailure, Operation
from engines.features import required_features
from routing.decision import RequestFacts
from routing.gateway.errors import ApiError
from routing.gateway.follow import Snapshot, Target
from routing.gateway.hub import Hub
from routing.gateway.validate import text_of
from routing.policies.prefix_affinity import LEADING_BYTES
from routing.table import EngineState, Role

log = logging.getLogger(__name__)

TOKENIZE_SECONDS = 0.3
BYTES_PER_TOKEN = 4
ASSUMED_OUTPUT_TOKENS = 256
NAME = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
STICKY_CHARACTERS = 512
SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

NO_FACTS = RequestFacts(
    request_id="", route="", input_tokens=0, tokens_estimated=False, required_context=0, sticky_key="", sticky_unit=""
)


def client_request_id(headers: Mapping[bytes, bytes]) -> str:
    stated = headers.get(b"x-request-id", b"")
    return stated.decode() if SANE_ID.fullmatch(stated) else ""


def traceparent(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's own trace as a header line for the engine, where nothing of ours samples it."""
    parent = headers.get(b"traceparent", b"")
    return b"traceparent: %b\r\n" % parent if TRACEPARENT.fullmatch(parent) else b""


async def gather(
    hub: Hub,
    snapshot: Snapshot,
    operation: Operation,
    *,
    request: Mapping[str, Any],
    headers: Mapping[bytes, bytes],
    request_id: str,
) -> RequestFacts:
    route = request["model"]
    text = text_of(request)
    tokens, estimated = await _input_tokens(hub, snapshot, route, text)
    output = request.get("max_completion_tokens") or request.get("max_tokens") or 0
    key, unit = sticky(request, headers, request_id)
    return RequestFacts(
        request_id=request_id, route=route, input_tokens=tokens, tokens_estimated=estimated,
        # An estimate may be twice too high; it must not exclude an engine that could have answered.
        required_context=(tokens // 2 if estimated else tokens) + output,
        sticky_key=key, sticky_unit=unit, explicit_engine=_explicit(headers),
        features=required_features(operation, request),
        expected_tokens=tokens + (output or ASSUMED_OUTPUT_TOKENS), leading=text[:LEADING_BYTES],
    )  # fmt: skip


def sticky(request: Mapping[str, Any], headers: Mapping[bytes, bytes], request_id: str) -> tuple[str, str]:
    """(key, unit): the session if there is one, else the user, else this request alone. Never the API key."""
    session = headers.get(b"x-session-id")
    if session:
        return session[:STICKY_CHARACTERS].decode("latin-1"), "session"
    user = request.get("user")
    if user:
        return str(user), "user"
    return request_id, "request"


def _explicit(headers: Mapping[bytes, bytes]) -> str | None:
    raw = headers.get(b"x-engine")
    if not raw:
        return None
    name = raw.decode("latin-1")
    if not NAME.fullmatch(name):
        raise ApiError(400, "invalid_value", "'x-engine' is not the name of an engine.", param="x-engine")
    return None if name == "auto" else name


async def _input_tokens(hub: Hub, snapshot: Snapshot, route: str, text: str) -> tuple[int, bool]:
    """(tokens, estimated). No tokenizer makes more tokens than bytes, so few bytes need no asking."""
    size = len(text) if text.isascii() else len(text.encode())
    if size > snapshot.table.settings.long_input_tokens:
        for target in _tokenizers(snapshot, route):
            counted = await count_tokens(hub, target, text)
            return (counted, False) if counted is not None else (size // BYTES_PER_TOKEN, True)
    return max(size // BYTES_PER_TOKEN, 1), True


def _tokenizers(snapshot: Snapshot, route: str) -> Iterable[Target]:
    entry = snapshot.table.routes.get(route)
    for member in entry.members if entry else ():
        engine = snapshot.table.engines.get(member.engine)
        if engine is None or engine.state is not EngineState.ACTIVE or member.role is Role.OUT or member.canary:
            continue
        for replica in engine.replicas:
            seen = snapshot.health.replicas.get(replica.id)
            if seen is not None and seen.in_rotation and replica.id in snapshot.targets:
                yield snapshot.targets[replica.id]


async def count_tokens(hub: Hub, target: Target, text: str) -> int | None:
    """None when the engine does not say within TOKENIZE_SECONDS."""
    try:
        async with asyncio.timeout(TOKENIZE_SECONDS):
            return len(await tokenize(hub, target, text))
    except (EngineFailure, TimeoutError) as error:
        log.info("Engine %s did not count tokens: %s", target.engine.name, error)
        return None


async def tokenize(hub: Hub, target: Target, text: str, request_id: str = "-") -> list[int]:
    """Raises EngineFailure. Deadlines are the caller's."""
    asked = target.adapter.tokenize_request(text, served_model=target.engine.served_model)
    if asked is None:
        return []
    path, body = asked
    connection = await hub.pool.acquire(target.address)
    try:
        connection.start(target.request(path, orjson.dumps(body), request_id.encode()))
        while not await connection.head():
            pass
        raw = await connection.read_all()
        if connection.status != 200:
            kind = connection.headers.get(b"content-type", b"").decode("latin-1")
            raise EngineFailure(
                target.adapter.parse_error(
                    status=connection.status,
                    content_type=kind,
                    body=raw,
                    retry_after=connection.headers.get(b"retry-after", b"").decode("latin-1") or None,
                )
            )
        return target.adapter.parse_tokens(_object(raw))
    finally:
        hub.pool.release(connection)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return parsed if type(parsed) is dict else {}
