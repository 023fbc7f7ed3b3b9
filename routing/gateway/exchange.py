"""One request from its accepted headers to its outcome: who calls, what is asked, the attempts, the answer."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from time import monotonic
from typing import Any

from engines.client import EngineFailure, Failure, FailureKind, Operation
from routing.decision import Decision, Unroutable
from routing.gateway import auth, facts, spans
from routing.gateway.attempt import Attempt
from routing.gateway.body import Receive, read_json
from routing.gateway.decided import note_deadline
from routing.gateway.errors import ApiError, ClientGone, from_failure, from_unroutable
from routing.gateway.follow import Target
from routing.gateway.headers import headers_for
from routing.gateway.hub import Hub
from routing.gateway.record import STATUS_CLIENT_GONE, Ending, record_attempt, to_outcome
from routing.gateway.reply import KEEP_ALIVE, Reply, Send
from routing.gateway.retries import MAX_ATTEMPTS, Again, Verdict, first_token_limit, judge
from routing.gateway.upstream import failure
from routing.gateway.validate import clean
from routing.outcomes import Attempt as AttemptRecord
from routing.outcomes import Result
from routing.rules import decide

log = logging.getLogger(__name__)

WATCH_AFTER_SECONDS = 0.1
STALL_SECONDS = 30.0


class Exchange:
    """Times are loop seconds unless they say otherwise."""

    operation_name = ""  # only where it is no engine operation

    def __init__(self, hub: Hub, scope: Mapping[str, Any], receive: Receive, send: Send, operation: Operation) -> None:
        self.hub = hub
        self.operation = operation
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self.reply = Reply(send, hub.loop)
        self.snapshot = hub.follower.snapshot
        self.started = monotonic()
        self.accepted_at = time.time()
        token = os.urandom(16).hex()
        self.request_id = "req_" + token
        self.decision_id = "dec_" + token
        self.caller: auth.Caller | None = None
        self.request: dict[str, Any] = {}
        self.facts = facts.NO_FACTS
        self.decision: Decision | None = None
        self.refusal: Unroutable | None = None
        self.attempt: Attempt | None = None
        self.attempts: list[AttemptRecord] = []
        self.ending = Ending()
        self.gone = False
        self.streaming = False
        self.content_sent = False
        self._deadline = self.started + self.snapshot.table.settings.request_deadline
        self._content_by: float | None = None
        self._next_keep_alive = self.started + hub.options.keep_alive_seconds
        self._read = False
        self.deadline_noted = False
        self._watcher: asyncio.Task[None] | None = None
        self._task = asyncio.current_task()
        self.spans = spans.begin(self.path, self.headers, hub.options.trace_ratio)

    async def run(self) -> None:
        self.hub.watch.active.add(self)
        self.hub.metrics.in_flight.inc()
        try:
            await self._answer()
        except ApiError as error:
            await self._refuse(error)
        except ClientGone:
            self._cancelled("The client closed the connection.")
        except asyncio.CancelledError:
            self._cancelled("The client stopped reading." if self.reply.sending_since else "The gateway stopped.")
            if self.reply.sending_since is None:
                raise
        except Exception:
            log.exception("Request %s failed inside the gateway.", self.request_id)
            await self._refuse(ApiError(500, "internal_error", "The gateway failed.", kind="server_error"))
        finally:
            self.hub.watch.active.discard(self)
            self.hub.metrics.in_flight.dec()
            if self._watcher is not None:
                self._watcher.cancel()
            self._record()

    # The request, step by step.

    async def _answer(self) -> None:
        table = self.snapshot.table
        if table.version == 0:
            message = "The gateway has no routing table yet. Try again soon."
            raise ApiError(503, "no_healthy_engine", message, kind="overloaded_error", retry_after=1.0)
        self.caller = auth.authenticate(
            self.headers.get(b"authorization"), table, self.accepted_at, self.hub.options.token_key
        )
        auth.require(self.caller, auth.INFERENCE)
        if self.caller.key is not None:
            self.hub.rates.take(self.caller.key, self.started)
        self.request = self._clean(await read_json(self._receive, self.headers))
        self._read = True
        self.streaming = bool(self.request.get("stream"))
        self.facts = await facts.gather(
            self.hub,
            self.snapshot,
            self.operation,
            request=self.request,
            headers=self.headers,
            request_id=self.request_id,
        )
        if self.facts.explicit_engine is not None:
            auth.require(self.caller, auth.SELECT_ENGINE)
        await self._attempts(self._decide())

    def _clean(self, body: dict[str, Any]) -> dict[str, Any]:
        return clean(self.operation, body)

    def _decide(self) -> Decision:
        snapshot, work = self.snapshot, self.hub.work
        try:
            decision = decide(self.facts, snapshot.table, snapshot.health, work.loads, time.time(), placed=work.placed)
        except Unroutable as refusal:
            self.refusal = refusal
            raise from_unroutable(refusal) from None
        self.decision = decision
        if self.spans is not None:
            self.spans.decided(decision, self.operation.value, self.request_id)
        return decision

    async def _attempts(self, decision: Decision) -> None:
        order = [place for place in decision.order if place[1] in self.snapshot.targets][:MAX_ATTEMPTS]
        if not order:
            raise from_failure(Failure(FailureKind.REFUSED, "No replica of the engine can be called."))
        fresh, number = False, 0
        while True:
            others = number + 1 < len(order)
            attempt = self._begin(self.snapshot.targets[order[number][1]], number, others=others)
            error = await self._try(attempt, fresh=fresh)
            if error is None:
                return
            verdict = self._judge(attempt, error, others=others)
            if verdict.again is Again.SAME and not fresh:
                fresh = True
                continue
            self._blame(attempt, verdict, error)
            if verdict.again is not Again.OTHER or not others:
                raise from_failure(error.failure)
            self.hub.metrics.retries.labels(decision.route, order[number][0], error.failure.kind.value).inc()
            fresh, number = False, number + 1

    def _begin(self, target: Target, number: int, *, others: bool) -> Attempt:
        attempt = self.attempt = Attempt(self, target, number)
        limit = first_token_limit(
            elapsed=attempt.started - self.started,
            ttft_limit=self.snapshot.table.settings.ttft_limit,
            others=others and self.streaming,
        )
        self._content_by = None if limit is None else self.started + limit
        if self.spans is not None:
            self.spans.attempt_started(target.engine.name, target.engine.kind, target.replica.id, number)
        return attempt

    async def _try(self, attempt: Attempt, *, fresh: bool) -> EngineFailure | None:
        try:
            await self._run(attempt, fresh=fresh)
        except EngineFailure as error:
            return error
        self._note_attempt(Result.OK)
        return None

    async def _run(self, attempt: Attempt, *, fresh: bool) -> None:
        await attempt.run(fresh=fresh)

    def _judge(self, attempt: Attempt, error: EngineFailure, *, others: bool) -> Verdict:
        now = monotonic()
        in_time = now - self.started < self.snapshot.table.settings.ttft_limit and now < self._deadline
        return judge(
            error.failure,
            content_sent=self.content_sent,
            stale=attempt.stale,
            in_stream=attempt.in_stream,
            can_meet=others and in_time,
        )

    def _blame(self, attempt: Attempt, verdict: Verdict, error: EngineFailure) -> None:
        replica = attempt.target.replica.id
        if verdict.cool_down_seconds:
            self.hub.work.cool_down(replica, time.time() + verdict.cool_down_seconds)
        if error.failure.kind in {FailureKind.REFUSED, FailureKind.RESET}:
            self.hub.suspects.add(replica)
        self._note_attempt(None, error)

    # What an attempt tells, and the ways to the client.

    async def keep_alive(self, attempt: Attempt) -> None:
        """After a nudge: show the client, and what lies between, that the request is alive."""
        self._next_keep_alive = monotonic() + self.hub.options.keep_alive_seconds
        await self.start_stream(attempt)
        await self.reply.part(KEEP_ALIVE)

    async def start_stream(self, attempt: Attempt) -> None:
        if not self.reply.streaming:
            await self.reply.start_stream(self.headers_for(attempt))

    def headers_for(self, attempt: Attempt | None) -> list[tuple[bytes, bytes]]:
        return headers_for(self, attempt)

    async def _refuse(self, error: ApiError) -> None:
        """An error object; inside a stream an error event, after which the connection is cut without an end."""
        self.ending.error = error
        if self.gone:
            return
        if self.reply.streaming:
            await self.reply.break_stream(error.event())
            return
        await self.reply.json(error.status, error.body(), [*error.advice(), *self.headers_for(None)])

    # The clock, and the client's departure.

    def tick(self, now: float) -> None:
        if self._watcher is None and self._read and now - self.started > WATCH_AFTER_SECONDS:
            self._watcher = self.hub.loop.create_task(self._watch())
        if (
            self.reply.sending_since is not None
            and now - self.reply.sending_since > STALL_SECONDS
            and self._task is not None
        ):
            self._task.cancel()
        if not self.deadline_noted and now - self.started >= self.snapshot.table.settings.e2e_limit:
            note_deadline(self, now)
        connection = self.attempt.connection if self.attempt is not None else None
        if connection is None:
            return
        if now >= self._deadline:
            connection.interrupt(failure(FailureKind.TIMEOUT, "The request's deadline has passed."))
        elif self.content_sent:
            if now - connection.last_byte > self.hub.options.idle_seconds and self.reply.sending_since is None:
                connection.interrupt(failure(FailureKind.TIMEOUT, "The engine fell silent."))
        elif self._content_by is not None and now >= self._content_by:
            connection.interrupt(failure(FailureKind.TIMEOUT, "The engine showed no content in time."))
        elif self.streaming and now >= self._next_keep_alive:
            connection.nudge()

    def tokens_seen(self) -> tuple[int, float] | None:
        """Replica and loop seconds of what its running stream last sent; None before its first content."""
        attempt = self.attempt
        if attempt is None or attempt.connection is None or not self.content_sent:
            return None
        return attempt.target.replica.id, attempt.connection.last_byte

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self.attempt is not None and self.attempt.connection is not None:
            self.attempt.connection.interrupt(ClientGone())

    def trace_headers(self) -> bytes:
        return facts.traceparent(self.headers) if self.spans is None else self.spans.traceparent()

    def _note_attempt(self, result: Result | None, error: EngineFailure | None = None) -> None:
        if self.attempt is None:
            return
        record = record_attempt(self.attempt, base=self.started, now=monotonic(), result=result, error=error)
        self.attempts.append(record)
        if self.spans is not None:
            self.spans.attempt_ended(record)

    def _cancelled(self, why: str) -> None:
        self.ending.cancelled = why
        if self.attempt is not None:
            self._note_attempt(Result.CANCELLED)

    def _record(self) -> None:
        """Everyone with a key leaves an outcome, refused or not; strangers only a count."""
        error = self.ending.error
        if self.caller is None:
            if error is not None:
                self.hub.metrics.refused.labels(str(error.status), error.code).inc()
            if self.spans is not None:
                self.spans.refused(error.status if error else STATUS_CLIENT_GONE)
            return
        outcome = to_outcome(self, self.caller, monotonic())
        self.hub.recorder.add(outcome)
        self.hub.trips.see(outcome, self.snapshot.table)
        self.hub.metrics.observe(outcome)
        if self.spans is not None:
            self.spans.ended(outcome)
