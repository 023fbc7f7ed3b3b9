"""The gateway as one raw ASGI application: which path does what, and what runs beside the requests."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

import orjson

from engines.client import Operation
from routing.gateway import auth, cors, pages
from routing.gateway.body import Receive
from routing.gateway.decided import decided_until
from routing.gateway.doors import Doors, Options
from routing.gateway.errors import ApiError
from routing.gateway.exchange import Exchange
from routing.gateway.hub import Hub
from routing.gateway.metrics import Metrics
from routing.gateway.reply import Send
from routing.gateway.tokenize import TokenizeExchange

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0
GENERATE = {"/v1/chat/completions": Operation.CHAT, "/v1/completions": Operation.COMPLETION}
TOKENIZE = frozenset({"/tokenize", "/v1/tokenize"})
READ = frozenset({"/v1/models", "/livez", "/healthz", "/metrics"})
MODEL_PREFIX = "/v1/models/"


class Gateway:
    """One per worker process. `doors` and `options` come from the composition root."""

    def __init__(self, doors: Doors, options: Options) -> None:
        self._doors = doors
        self._options = options
        self._metrics = Metrics()
        self._tasks: list[asyncio.Task[None]] = []
        self._started_at = 0.0
        self.hub: Hub

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(f"The gateway does not speak {scope['type']}.")

    async def _http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method == "POST" and path in GENERATE:
            await Exchange(self.hub, scope, receive, send, GENERATE[path]).run()
        elif method == "POST" and path in TOKENIZE:
            await TokenizeExchange(self.hub, scope, receive, send, Operation.COMPLETION).run()
        else:
            await self._plain(path, method, dict(scope["headers"]), send)

    async def _plain(self, path: str, method: str, headers: Mapping[bytes, bytes], send: Send) -> None:
        settings = self.hub.follower.snapshot.table.settings
        shared = [(b"x-request-id", b"req_" + os.urandom(16).hex().encode())]
        try:
            if method == "OPTIONS":
                status, kind, body = 204, b"text/plain", b""
                shared += cors.preflight(headers.get(b"origin"), settings)
            else:
                status, kind, body = self._page(path, method, headers)
                shared += cors.headers_for(headers.get(b"origin"), settings)
        except ApiError as error:
            status, kind, body = error.status, b"application/json; charset=utf-8", error.body()
            shared += error.advice()
            shared += cors.headers_for(headers.get(b"origin"), settings)
        length = [] if status == 204 else [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": length + shared})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    def _page(self, path: str, method: str, headers: Mapping[bytes, bytes]) -> tuple[int, bytes, bytes]:
        known = path in READ or path.startswith(MODEL_PREFIX)
        if path in GENERATE or path in TOKENIZE or (known and method not in {"GET", "HEAD"}):
            allowed = b"GET, HEAD, OPTIONS" if known else b"POST, OPTIONS"
            raise ApiError(
                405, "method_not_allowed", f"{path} does not answer {method[:16]}.", headers=((b"allow", allowed),)
            )
        if path == "/metrics":
            self._set_gauges()
            return 200, b"text/plain; version=0.0.4; charset=utf-8", self._metrics.render()
        status, value = self._read(path, headers)
        return status, b"application/json; charset=utf-8", orjson.dumps(value)

    def _read(self, path: str, headers: Mapping[bytes, bytes]) -> tuple[int, dict[str, Any]]:
        snapshot, now = self.hub.follower.snapshot, time.time()
        if path == "/livez":
            return 200, {"status": "ok"}
        if path == "/healthz":
            return pages.health(snapshot, self.hub.work.loads, now)
        if path != "/v1/models" and not path.startswith(MODEL_PREFIX):
            raise ApiError(404, "unknown_url", "There is nothing at this address.")
        auth.authenticate(headers.get(b"authorization"), snapshot.table, now, self._options.token_key)
        if path == "/v1/models":
            return 200, pages.models(snapshot)
        name = path.removeprefix(MODEL_PREFIX)
        if name not in snapshot.table.routes:
            raise ApiError(404, "model_not_found", f"The model '{name[:200]}' does not exist.", param="model")
        return 200, pages.model(name)

    # What runs beside the requests.

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self.hub = Hub(self._doors, self._options, loop, self._metrics)
        self._started_at = time.time()
        logging.getLogger("uvicorn.error").addFilter(_is_no_broken_stream)
        await self.hub.follower.poll()
        self.hub.recorder.start()
        self.hub.watch.start()
        self._tasks = [loop.create_task(self.hub.follower.run()), loop.create_task(self._report())]

    async def _stop(self) -> None:
        """Runs when the server has let its requests finish."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.hub.watch.stop()
        self.hub.pool.close()
        await asyncio.to_thread(self.hub.recorder.stop)
        logging.getLogger("uvicorn.error").removeFilter(_is_no_broken_stream)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            state = self.state()
            self.hub.suspects.clear()
            try:
                await asyncio.to_thread(self._doors.report, state)
            except Exception:
                # The door may fail in any way; the next report follows in a moment.
                log.exception("The gateway's state could not be reported.")

    def state(self) -> dict[str, Any]:
        """What the console shows of this gateway. Ages are seconds, None where nothing was ever loaded."""
        follower, recorder = self.hub.follower, self.hub.recorder
        return {
            "gateway_id": self._options.gateway_id,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "at": time.time(),
            "table_version": follower.snapshot.table.version,
            "table_age_seconds": _age(follower.table_seen_at),
            "health_sequence": follower.snapshot.health.sequence,
            "health_age_seconds": _age(follower.health_seen_at),
            "in_flight": len(self.hub.watch.active),
            "queue_depth": recorder.depth,
            "outcomes_dropped": recorder.dropped,
            "failed_batches": recorder.failed_batches,
            "trips": self.hub.trips.report(),
            "withheld": follower.withheld,
            "drains": self.hub.drains.report(),
            "decided_until": decided_until(self.hub, time.time()),
            "tokens_seen_at": self.hub.tokens_seen_at(),
            "suspect_replicas": sorted(self.hub.suspects),
        }

    def _set_gauges(self) -> None:
        state, metrics = self.state(), self._metrics
        metrics.table_version.set(state["table_version"])
        metrics.table_age.set(_or_nan(state["table_age_seconds"]))
        metrics.health_age.set(_or_nan(state["health_age_seconds"]))
        metrics.queue_depth.set(state["queue_depth"])
        metrics.dropped.set(state["outcomes_dropped"])


def _age(seen_at: float | None) -> float | None:
    return None if seen_at is None else time.monotonic() - seen_at


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _is_no_broken_stream(record: logging.LogRecord) -> bool:
    """A stream that breaks after its first content ends without an end on purpose; the outcome says why."""
    return "without completing response" not in record.getMessage()
