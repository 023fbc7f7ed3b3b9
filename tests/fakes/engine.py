"""A fake OpenAI-compatible engine on a real loopback socket, for faults and timing. Never used outside tests.

`with serve() as fake:` runs it; `fake.mode = "cut"` (or a request whose model is "cut") picks the behaviour:
one of wire.REPLIES, or normal, error_first, error_mid, cut, rst_mid, eof_mid, reset, close, hang,
hang_headers, hang_mid, garbage_mid, no_done, no_finish, no_usage.
"""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.fakes.wire import (
    ERROR,
    REPLIES,
    Gone,
    Send,
    abort,
    break_off,
    choice,
    event,
    finish,
    part,
    reply,
    start,
    usage,
)


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["fake.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


@dataclass
class FakeEngine:
    """Set the fields at any time from any thread; read the counters after the call."""

    mode: str = "normal"
    tokens: int = 5
    interval: float = 0.0
    first_delay: float = 0.0
    break_after: int = 2
    """How many tokens come before the *_mid modes, cut and friends break off."""
    retry_after: str | None = None
    text: str | None = None
    api_key: str | None = None
    models: tuple[str, ...] = ("m",)
    max_model_len: int | None = 4096
    health_status: int = 200
    health_delay: float = 0.0
    metrics_prefix: str = "vllm:"
    metrics_body: bytes | None = None
    metrics_status: int = 200
    waiting: int = 0
    kv_use: float = 0.0
    bad_every: int = 0
    """Each so-many-th generation is answered with a 500; 2 is every second one, 0 none."""
    generations: int = 0
    extra_paths: dict[str, tuple[int, dict[str, Any] | bytes]] = field(default_factory=dict)

    port: int = 0
    started_at: float = 0.0
    hits: int = 0
    running: int = 0
    cancelled: int = 0
    finished: int = 0
    steps: int = 0
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """(path, headers with lower-case names, body) of every POST."""
    paths: list[str] = field(default_factory=list)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last_body(self) -> dict[str, Any]:
        return self.requests[-1][2]

    @property
    def last_headers(self) -> dict[str, str]:
        return self.requests[-1][1]

    def start(self) -> None:
        """Listen; after stop() on the same port again, as a restarted engine would."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.port, self.started_at, self.running, self.steps = sock.getsockname()[1], time.time(), 0, 0
        quiet: dict[str, Any] = {"lifespan": "off", "log_level": "critical", "timeout_graceful_shutdown": 1}
        config = uvicorn.Config(self.app, http=_Protocol, interface="asgi3", timeout_keep_alive=5, **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="fake-engine", daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)

    def stop(self) -> None:
        """Close the port at once, as a killed engine would: streams break, connections are refused."""
        if self._server and self._thread:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
        self._server = self._thread = None

    async def app(self, scope: Any, receive: Any, send: Send) -> None:
        path, headers = scope["path"], {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        self.hits += 1
        self.paths.append(path)
        with contextlib.suppress(Gone):
            if path in self.extra_paths:
                return await reply(send, *self.extra_paths[path])
            if self.api_key and path.startswith("/v1") and headers.get("authorization") != f"Bearer {self.api_key}":
                return await reply(send, 401, {"error": "Unauthorized"})
            if scope["method"] == "GET":
                return await self._get(path, send)
            return await self._post(scope, path, headers, receive, send)

    async def _get(self, path: str, send: Send) -> None:
        if path == "/health":
            await asyncio.sleep(self.health_delay)
            return await reply(send, self.health_status, b"")
        if path == "/v1/models":
            data = [{"id": name, "object": "model", "max_model_len": self.max_model_len} for name in self.models]
            return await reply(send, 200, {"object": "list", "data": data})
        if path == "/version":
            return await reply(send, 200, {"version": "0.32.0-fake"})
        if path == "/metrics":
            body = self._metrics() if self.metrics_body is None else self.metrics_body
            return await reply(send, self.metrics_status, body, kind="text/plain; version=0.0.4")
        return await reply(send, 404, {"detail": "Not Found"})

    def _metrics(self) -> bytes:
        values = {"num_requests_running": self.running, "num_requests_waiting": self.waiting,
                  "kv_cache_usage_perc": self.kv_use, "iteration_tokens_total_count": self.steps,
                  "prefix_cache_queries_total": 100, "prefix_cache_hits_total": 25}  # fmt: skip
        lines = [f'{self.metrics_prefix}{name}{{engine="0",model_name="m"}} {value}' for name, value in values.items()]
        return "\n".join([*lines, f"process_start_time_seconds {self.started_at}", ""]).encode()

    async def _post(self, scope: Any, path: str, headers: dict[str, str], receive: Any, send: Send) -> None:
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        body = json.loads(raw)
        self.requests.append((path, headers, body))
        if path == "/tokenize":
            tokens = list(range(len(body.get("prompt", "").split())))
            return await reply(send, 200, {"count": len(tokens), "max_model_len": self.max_model_len, "tokens": tokens})
        if path not in ("/v1/chat/completions", "/v1/completions"):
            return await reply(send, 404, {"detail": "Not Found"})
        mode = body.get("model") if self.mode == "normal" else self.mode
        self.running += 1
        work = asyncio.ensure_future(self._generate(str(mode), body, path, scope["fake.transport"], send))
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self.cancelled += 1
            else:
                work.result()
        finally:
            self.running -= 1
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _generate(self, mode: str, body: dict[str, Any], path: str, transport: Any, send: Send) -> None:
        self.generations += 1
        if self.bad_every and self.generations % self.bad_every == 0:
            mode = "500"
        if mode in REPLIES:
            await reply(send, *REPLIES[mode], retry_after=self.retry_after)
            return
        if mode in ("reset", "close"):
            abort(transport, rst=mode == "reset")
        await asyncio.sleep(3600 if mode == "hang" else 0)
        chat, words = path.endswith("chat/completions"), self._words(body)
        if body.get("stream"):
            await start(send, 200, "text/event-stream; charset=utf-8")
        await asyncio.sleep(3600 if mode == "hang_headers" else self.first_delay)
        await self._write_words(mode, words, transport, send, chat=chat, stream=bool(body.get("stream")))
        reason = None if mode == "no_finish" else "length" if len(words) == body.get("max_tokens") else "stop"
        self.finished += 1
        if not body.get("stream"):
            whole = choice(chat, "".join(words), reason, whole=True)
            await reply(send, 200, {**whole, "usage": usage(body, len(words))})
            return
        tail = event(choice(chat, "", reason)) if reason else b""
        if (body.get("stream_options") or {}).get("include_usage") and mode != "no_usage":
            tail += event({"id": "fake-1", "model": "m", "choices": [], "usage": usage(body, len(words))})
        await finish(send, tail + (b"" if mode == "no_done" else event("[DONE]")))

    async def _write_words(
        self, mode: str, words: list[str], transport: Any, send: Send, *, chat: bool, stream: bool
    ) -> None:
        if mode == "error_first":
            await finish(send, event(ERROR) + event("[DONE]"))
            raise Gone
        for index, word in enumerate(words):
            if index:
                await asyncio.sleep(self.interval)
            if index == self.break_after:
                await break_off(mode, transport, send)
            self.steps += 1
            if stream:
                await part(send, event(choice(chat, word, None)))

    def _words(self, body: dict[str, Any]) -> list[str]:
        words = [f"{word} " for word in self.text.split()] if self.text else [f"w{i} " for i in range(self.tokens)]
        return words[: body.get("max_tokens") or body.get("max_completion_tokens") or len(words)]


@contextlib.contextmanager
def serve(**settings: Any) -> Iterator[FakeEngine]:
    """Run one fake engine for the length of the block."""
    fake = FakeEngine(**settings)
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
