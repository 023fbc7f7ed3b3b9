"""One attempt on one replica: send the request, bring the answer to the client."""

from time import monotonic, time
from typing import TYPE_CHECKING, Any

import orjson

from engines.client import EngineFailure, FailureKind
from routing.gateway.drive import Suspended
from routing.gateway.errors import ClientGone
from routing.gateway.follow import Target
from routing.gateway.reply import Reply
from routing.gateway.sse import EventStream
from routing.gateway.upstream import Connection, failure

if TYPE_CHECKING:
    from routing.gateway.exchange import Exchange

DRAIN_SECONDS = 0.5


class Attempt:
    """`started` and `content_at` are loop seconds. Raises EngineFailure, ClientGone and ApiError out of `run`."""

    __slots__ = (
        "_exchange", "_tokens", "connection", "content_at", "disabled", "in_stream", "resend", "stale", "started",
        "status", "stream", "target",
    )  # fmt: skip

    def __init__(self, exchange: "Exchange", target: Target, resend: int) -> None:
        self._exchange = exchange
        self.target = target
        self.resend = resend
        self.started = monotonic()
        self.content_at: float | None = None
        self.connection: Connection | None = None
        self.stream: EventStream | None = None
        self.in_stream = False
        self.disabled: tuple[str, ...] = ()
        self.status: int | None = None
        self.stale = False
        self._tokens = exchange.facts.expected_tokens

    async def run(self, *, fresh: bool) -> None:
        hub, target, decision = self._exchange.hub, self.target, self._exchange.decision
        hub.work.begin(target.replica.id, self._tokens)
        if decision is not None and decision.beginnings and not self.resend:
            hub.work.place(decision.beginnings, target.replica.id)
        connection = None
        try:
            connection = await hub.pool.acquire(target.address, fresh=fresh)
            self.connection = connection
            await self._converse(connection)
            self._note_pace(connection.last_byte)
        finally:
            hub.work.end(target.replica.id, self._tokens)
            self.connection = None  # from here on it may be another request's
            if connection is not None:
                self.stale = connection.reused and connection.untouched
                if self.content_at is not None:
                    hub.saw_tokens(target.replica.id, connection.last_byte)
                hub.pool.release(connection)

    def _note_pace(self, last_byte: float) -> None:
        """Answers without a count of their tokens say nothing of the engine's speed."""
        usage = self._exchange.ending.usage
        if usage is None or usage.output_tokens is None:
            return
        read = self._exchange.facts.input_tokens if usage.input_tokens is None else usage.input_tokens
        self._exchange.hub.work.answered(
            self.target.replica.id,
            input_tokens=max(read - (usage.cached_tokens or 0), 0),
            output_tokens=usage.output_tokens,
            seconds=last_byte - self.started,
            now=time(),
        )

    async def _converse(self, connection: Connection) -> None:
        exchange = self._exchange
        if exchange.gone:
            raise ClientGone
        prepared = self.target.adapter.prepare(
            exchange.operation,
            exchange.request,
            served_model=self.target.engine.served_model,
            record=self.target.engine.features,
        )
        self.disabled = prepared.disabled
        body = orjson.dumps(prepared.body)
        connection.start(
            self.target.request(prepared.path, body, exchange.request_id.encode(), exchange.trace_headers())
        )
        while not await connection.head():
            await exchange.keep_alive(self)
        self.status = connection.status
        if connection.status != 200:
            raise EngineFailure(
                self.target.adapter.parse_error(
                    status=connection.status,
                    content_type=self._content_type(connection),
                    body=await connection.read_all(),
                    retry_after=connection.headers.get(b"retry-after", b"").decode("latin-1") or None,
                )
            )
        if connection.headers.get(b"content-encoding", b"identity") != b"identity":
            raise failure(FailureKind.MALFORMED, "The engine sent a compressed answer that nobody asked for.")
        if exchange.streaming:
            await self._streamed(connection)
        else:
            await self._whole(connection)

    @staticmethod
    def _content_type(connection: Connection) -> str:
        return connection.headers.get(b"content-type", b"").decode("latin-1").lower()

    async def _whole(self, connection: Connection) -> None:
        exchange = self._exchange
        answer = _object(await connection.read_all())
        _, usage = self.target.adapter.parse_response(exchange.operation, answer)
        exchange.hub.saw_tokens(self.target.replica.id, connection.last_byte)
        answer["model"] = exchange.facts.route
        answer["chosen_engine"] = self.target.engine.name
        exchange.ending.answered(usage, pieces=None, last_content_at=connection.last_byte)
        await exchange.reply.json(200, orjson.dumps(answer), exchange.headers_for(self))

    async def _streamed(self, connection: Connection) -> None:
        exchange = self._exchange
        if not self._content_type(connection).startswith("text/event-stream"):
            raise failure(FailureKind.MALFORMED, "The engine did not answer with a stream.")
        self.in_stream = True
        options = exchange.request.get("stream_options") or {}
        stream = self.stream = EventStream(
            self.target.adapter,
            exchange.operation,
            engine=self.target.engine.name,
            public=exchange.facts.route,
            wants_usage=bool(options.get("include_usage")),
        )
        await self._until_content(connection, stream)
        await self._relay(connection, stream)
        exchange.ending.answered(stream.usage, pieces=stream.pieces, last_content_at=connection.last_byte)
        await exchange.reply.end_stream()
        await self._drain(connection)

    async def _until_content(self, connection: Connection, stream: EventStream) -> None:
        while True:
            data = await connection.read()
            if data is None:
                await self._exchange.keep_alive(self)
            elif not data:
                stream.close()
                break
            elif stream.hold(data):
                break
        if stream.has_content:
            self.content_at = connection.last_byte
            read = self._exchange.facts.input_tokens
            self._exchange.hub.work.read(self.target.replica.id, read)
            self._tokens -= read
        await self._exchange.start_stream(self)
        self._exchange.content_sent = True
        await self._exchange.reply.part(stream.take())

    async def _relay(self, connection: Connection, stream: EventStream) -> None:
        """The hot loop. While the client keeps up, events pass in the socket's own callback and this task sleeps."""
        reply = self._exchange.reply
        pump = Pump(stream, reply)
        while not stream.done:
            connection.sink = pump.push
            data = await connection.read()
            connection.sink = None
            await pump.settle()
            if data:
                await reply.part(stream.forward(data))
            elif data is not None and not stream.done:
                await reply.part(stream.close())

    async def _drain(self, connection: Connection) -> None:
        """Read the little that follows [DONE], so that the socket can be used again."""
        if connection.complete or connection.closed:
            return
        timer = self._exchange.hub.loop.call_later(DRAIN_SECONDS, connection.nudge)
        try:
            while await connection.read():
                pass
        except EngineFailure:
            return
        finally:
            timer.cancel()


class Pump:
    """Events on the short way from socket to socket, until the client falls behind or something goes wrong."""

    __slots__ = ("_error", "_reply", "_stream", "_suspended")

    def __init__(self, stream: EventStream, reply: Reply) -> None:
        self._stream = stream
        self._reply = reply
        self._error: Exception | None = None
        self._suspended: Suspended | None = None

    def push(self, data: bytes) -> bool:
        """True while the short way may go on."""
        try:
            part = self._stream.forward(data)
            if part:
                self._reply.push(part)
        except Suspended as suspended:
            self._suspended = suspended
            return False
        except Exception as error:  # noqa: BLE001 - raised again by settle, in the request's own task
            self._error = error
            return False
        return not self._stream.done

    async def settle(self) -> None:
        """Wait for the client where it fell behind; raise what went wrong."""
        suspended, self._suspended = self._suspended, None
        if suspended is not None:
            await self._reply.catch_up(suspended)
        if self._error is not None:
            raise self._error


def _object(raw: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        answer = None
    if type(answer) is not dict:
        raise failure(FailureKind.MALFORMED, "The engine's answer is not a JSON object.")
    return answer
