"""A gateway on a real loopback socket, its doors in memory, and small helpers to talk to it."""

import contextlib
import hashlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import uvicorn

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
    RouteEntry,
    Settings,
    Table,
    health_to_json,
    to_json,
)
from tests.fakes.engine import FakeEngine

KEY = "sk-test-" + "a" * 40
TOKEN_KEY = b"k" * 32


class MemoryDoors:
    """The database as far as the gateway knows it. `broken` makes every door raise."""

    def __init__(self, table: Table, health: Health) -> None:
        self.table, self.health = table, health
        self.broken = False
        self.outcomes: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []

    def _check(self) -> None:
        if self.broken:
            raise OSError("the database is gone")

    def load_table(self, after: int) -> dict[str, Any] | None:
        self._check()
        return json.loads(json.dumps(to_json(self.table))) if self.table.version > after else None

    def load_health(self, after: int) -> dict[str, Any] | None:
        self._check()
        return json.loads(json.dumps(health_to_json(self.health))) if self.health.sequence > after else None

    def save_outcomes(self, batch: list[dict[str, Any]]) -> None:
        self._check()
        self.outcomes.extend(json.loads(json.dumps(batch)))

    def report(self, state: dict[str, Any]) -> None:
        self._check()
        self.reports.append(state)

    def unseal(self, ciphertext: str) -> str:
        return ciphertext.removeprefix("sealed:")


def entry(name: str, number: int, *urls: str, **more: Any) -> EngineEntry:
    replicas = tuple(ReplicaEntry(number * 10 + i, url) for i, url in enumerate(urls))
    more.setdefault("kind", "vllm")
    more.setdefault("served_model", f"{name}-model")
    return EngineEntry(name=name, replicas=replicas, **more)


def key_table(**scopes: Any) -> dict[str, KeyEntry]:
    found = {KEY: KeyEntry(id=1, name="test", scopes=("inference", "select-engine"))}
    found.update(scopes)
    return {hashlib.sha256(secret.encode()).hexdigest(): value for secret, value in found.items()}


def make_table(
    engines: list[EngineEntry], members: list[Member], *, keys: Mapping[str, KeyEntry] | None = None, **settings: Any
) -> Table:
    route = RouteEntry(name="demo", revision=1, salt="salt", members=tuple(members))
    return Table(
        version=1,
        engines={item.name: item for item in engines},
        routes={"demo": route},
        keys=key_table(**(keys or {})),
        settings=replace(Settings(), **settings),
    )


def healthy(table: Table, *, sick: tuple[str, ...] = ()) -> Health:
    now = time.time()
    replicas = {
        replica.id: ReplicaHealth(0.2 if name in sick else 1.0, name not in sick, now)
        for name, item in table.engines.items()
        for replica in item.replicas
    }
    return Health(sequence=1, at=now, replicas=replicas)


class RunningGateway:
    def __init__(self, doors: MemoryDoors, **options: Any) -> None:
        self.doors = doors
        defaults = {"poll_seconds": 0.05, "flush_seconds": 0.02, "gateway_id": "test", "token_key": TOKEN_KEY}
        self.app = Gateway(doors, Options(**{**defaults, **options}))
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            loop="uvloop",
            http=GatewayProtocol,
            log_level="warning",
            ws="none",
            timeout_graceful_shutdown=3,
            access_log=False,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([sock],), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.002)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)

    def publish(self, table: Table) -> None:
        """Give the gateway a newer table, and wait until it is in use."""
        self.doors.table = replace(table, version=self.doors.table.version + 1)
        wait_until(lambda: self.app.hub.follower.snapshot.table.version == self.doors.table.version)

    def outcome(self, number: int = 1) -> dict[str, Any]:
        """The newest outcome, once at least `number` were saved."""
        wait_until(lambda: len(self.doors.outcomes) >= number)
        return self.doors.outcomes[-1]


@contextlib.contextmanager
def running(table: Table, *, sick: tuple[str, ...] = (), **options: Any) -> Iterator[RunningGateway]:
    gateway = RunningGateway(MemoryDoors(table, healthy(table, sick=sick)), **options)
    try:
        yield gateway
    finally:
        gateway.stop()


@contextlib.contextmanager
def engines(*fakes: FakeEngine) -> Iterator[tuple[FakeEngine, ...]]:
    for fake in fakes:
        fake.start()
    try:
        yield fakes
    finally:
        for fake in fakes:
            fake.stop()


def wait_until(condition: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def chat(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": text}], **more}


def post(
    gateway: RunningGateway, body: Any, *, path: str = "/v1/chat/completions", key: str = KEY, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    names.update({name.replace("_", "-"): value for name, value in headers.items()})
    return send(urllib.request.Request(gateway.url + path, data=data, headers=names))


def get(gateway: RunningGateway, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(urllib.request.Request(gateway.url + path, headers=names))


def send(request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def events(raw: bytes) -> list[Any]:
    """The data of each event: parsed JSON, or the text [DONE]."""
    found = []
    for block in raw.decode().split("\n\n"):
        if block.startswith("data: "):
            found.append("[DONE]" if block == "data: [DONE]" else json.loads(block[6:]))
    return found
