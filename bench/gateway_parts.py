"""The processes and clients of bench/gateway.py: mock engine, gateway with the product's outcome door, lean clients."""

import asyncio
import hashlib
import importlib
import json
import os
import sys
import tempfile
import time
from typing import Any

import django
import orjson
import uvicorn
import uvloop
from django.core.management import call_command
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider  # noqa: TID251 - the benchmark is its own composition root
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased  # noqa: TID251

from routing.gateway.app import Gateway
from routing.gateway.doors import Options
from routing.gateway.protocol import GatewayProtocol
from routing.table import (
    EngineEntry,
    Health,
    KeyEntry,
    Member,
    ReplicaEntry,
    ReplicaHealth,
    Role,
    RouteEntry,
    Table,
    health_to_json,
    to_json,
)

KEY = "sk-bench-" + "b" * 43
CHUNKS = 64
PACE_SECONDS = 0.02
FIRST_SECONDS = 0.05

_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench-model"}
_TEXT = (
    b"data: "
    + orjson.dumps(
        {**_CHUNK, "choices": [{"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}]}
    )
    + b"\n\n"
)
_ROLE = (
    b"data: "
    + orjson.dumps(
        {**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    )
    + b"\n\n"
)
_USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}
_LAST = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in (
    {**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {**_CHUNK, "choices": [], "usage": _USAGE},
)) + b"data: [DONE]\n\n"  # fmt: skip
_WHOLE = orjson.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench-model", "usage": _USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * CHUNKS}, "finish_reason": "stop"}],
})  # fmt: skip
_PLAIN_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_WHOLE) + _WHOLE
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class MockEngine(asyncio.Protocol):
    """Answers every POST: whole at once, or a role event and CHUNKS pieces at a fixed pace."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        if b'"stream":true' in rest:
            self.transport.write(_STREAM_HEAD + _framed(_ROLE))
            self.due = self.loop.time() + FIRST_SECONDS
            self.loop.call_at(self.due, self.piece, CHUNKS)
        else:
            self.transport.write(_PLAIN_ANSWER)

    def piece(self, left: int) -> None:
        if self.transport.is_closing():
            return
        if left == 0:
            self.transport.write(_framed(_LAST) + b"0\r\n\r\n")
            return
        self.transport.write(_framed(_TEXT))
        self.due += PACE_SECONDS
        self.loop.call_at(self.due, self.piece, left - 1)


async def serve_engine(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(MockEngine, "127.0.0.1", port)
    await server.serve_forever()


class BenchDoors:
    """A published table for ever; outcomes go through the product's own door into its own schema on SQLite."""

    def __init__(self, engine_port: int) -> None:
        engine = EngineEntry(
            name="bench",
            kind="vllm",
            served_model="bench-model",
            max_in_flight=1000,
            replicas=(ReplicaEntry(1, f"http://127.0.0.1:{engine_port}"),),
        )
        other = EngineEntry(
            name="standby",
            kind="custom",
            served_model="bench-model",
            replicas=(ReplicaEntry(2, f"http://127.0.0.1:{engine_port}"),),
        )
        members = (Member("bench", Role.SPLIT, 100), Member("standby", Role.STANDBY))
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        keys = {digest: KeyEntry(id=1, name="bench", scopes=("inference",), requests_per_minute=10_000_000)}
        route = RouteEntry(name="bench", revision=1, salt="salt", members=members)
        self.table = Table(version=1, engines={"bench": engine, "standby": other}, routes={"bench": route}, keys=keys)
        replicas = {number: ReplicaHealth(1.0, True, time.time()) for number in (1, 2)}
        self.health = Health(sequence=1, at=time.time(), replicas=replicas)

    def load_table(self, after: int) -> dict[str, Any] | None:
        return json.loads(json.dumps(to_json(self.table))) if after < 1 else None

    def load_health(self, after: int) -> dict[str, Any] | None:
        return json.loads(json.dumps(health_to_json(self.health))) if after < 1 else None

    def save_outcomes(self, batch: list[dict[str, Any]]) -> None:
        """The product's own door, roll-up included."""
        importlib.import_module("routing.rollup").save_outcomes(batch)

    def report(self, state: dict[str, Any]) -> None:
        self.state = state

    def unseal(self, ciphertext: str) -> str:
        return ciphertext


def serve_gateway(port: int, engine_port: int) -> None:
    trace.set_tracer_provider(TracerProvider(sampler=ParentBased(ALWAYS_ON)))
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "console.settings"}
        django.setup()
        call_command("migrate", verbosity=0)
        gateway = Gateway(BenchDoors(engine_port), Options(gateway_id="bench", token_key=b"b" * 32, trace_ratio=0.01))
        uvicorn.run(
            gateway,
            host="127.0.0.1",
            port=port,
            loop="uvloop",
            http=GatewayProtocol,
            ws="none",
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )


def _request(*, stream: bool) -> bytes:
    body = {
        "model": "bench",
        "messages": [{"role": "user", "content": "What does a canary prove? Say it shortly."}],
        "max_tokens": CHUNKS,
        "temperature": 0.7,
        "stream": stream,
    }
    raw = orjson.dumps(body)
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"accept: application/json\r\nuser-agent: bench\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
        % (KEY.encode(), len(raw), raw)
    )


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it was answered."""

    request = b""

    def __init__(self) -> None:
        self.running = True
        self.reset()

    def reset(self) -> None:
        self.answers = self.chunks = self.errors = 0
        self.ttft: list[float] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.first: float | None = None
        self.asked = time.perf_counter()
        self.tail = b""
        self.size = 0
        self.transport.write(self.request)

    def answered(self) -> None:
        self.answers += 1
        if self.running:
            self.ask()

    def stop(self) -> None:
        self.running = False
        self.transport.abort()


class StreamClient(Client):
    request = _request(stream=True)

    def data_received(self, data: bytes) -> None:
        found = data.count(b'" word"')
        self.chunks += found
        if found and self.first is None:
            self.first = time.perf_counter()
            self.ttft.append(self.first - self.asked)
        self.tail = (self.tail + data)[-40:]
        if self.tail.endswith(b"0\r\n\r\n"):
            self.errors += b"[DONE]" not in self.tail
            self.answered()


class NonStreamClient(Client):
    request = _request(stream=False)

    def data_received(self, data: bytes) -> None:
        if not self.tail:
            self.errors += not data.startswith(b"HTTP/1.1 200")
            self.size = int(data.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.tail += data
        if len(self.tail.partition(b"\r\n\r\n")[2]) >= self.size:
            self.answered()


if __name__ == "__main__":
    role, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
    if role == "engine":
        uvloop.run(serve_engine(*ports))
    else:
        serve_gateway(*ports)
