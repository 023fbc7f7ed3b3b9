"""Spans of a request: HTTP server, logical call, attempts. Almost free unsampled; never any prompt content."""

import random
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from routing.decision import Decision
from routing.gateway import names
from routing.outcomes import Attempt, Outcome

_tracer = trace.get_tracer("routing.gateway")
_propagator = TraceContextTextMapPropagator()


def begin(path: str, headers: Mapping[bytes, bytes], ratio: float) -> "CallSpans | None":
    """None when nothing of this request is recorded. Whether a request without a trace of its client's begins one is
    drawn here, by `ratio`: asking the tracer, only to be told no, costs a twentieth of a whole request."""
    if b"traceparent" not in headers and random.random() >= ratio:  # noqa: S311  a sample, no secret
        return None
    server = start_server(path, headers)
    return CallSpans(server, path) if server.is_recording() else None


def start_server(path: str, headers: Mapping[bytes, bytes]) -> Span:
    """The span of the HTTP request. It continues the client's trace; whoever samples decides here, once."""
    parent: Context | None = None
    if b"traceparent" in headers:
        carrier = {
            name: headers[name.encode()].decode("latin-1")
            for name in ("traceparent", "tracestate")
            if name.encode() in headers
        }
        parent = _propagator.extract(carrier)
    return _tracer.start_span(f"POST {path}", context=parent or Context(), kind=SpanKind.SERVER)


class CallSpans:
    """The logical call and its attempts below a sampled server span. Built only when something records."""

    def __init__(self, server: Span, path: str) -> None:
        self._server = server
        self._call: Span | None = None
        self._attempt: Span | None = None
        server.set_attributes({names.HTTP_METHOD: "POST", names.HTTP_ROUTE: path})

    def decided(self, decision: Decision, operation: str, request_id: str) -> None:
        self._call = _tracer.start_span(
            f"{operation} {decision.route}", context=trace.set_span_in_context(self._server, Context()),
            kind=SpanKind.CLIENT,
            attributes={
                names.OPERATION: operation, names.REQUEST_MODEL: decision.route, names.REQUEST_ID: request_id,
                names.DECISION_RULE: decision.rule.value, names.DECISION_WHY: decision.why,
                names.DECISION_POLICY: decision.policy,
                names.TABLE_VERSION: decision.table_version, names.HEALTH_SEQUENCE: decision.health_sequence,
            })  # fmt: skip

    def attempt_started(self, engine: str, kind: str, replica: int, resend: int) -> None:
        parent = trace.set_span_in_context(self._call or self._server, Context())
        self._attempt = _tracer.start_span(
            f"attempt {engine}",
            context=parent,
            kind=SpanKind.CLIENT,
            attributes={
                names.PROVIDER: kind,
                names.CHOSEN_ENGINE: engine,
                names.REPLICA: replica,
                names.HTTP_RESEND: resend,
            },
        )

    def attempt_ended(self, attempt: Attempt) -> None:
        if self._attempt is not None:
            _close(self._attempt, attempt.status, attempt.error and attempt.result.value)

    def traceparent(self) -> bytes:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(self._attempt or self._server, Context()))
        return "".join(f"{name}: {value}\r\n" for name, value in carrier.items()).encode("latin-1")

    def refused(self, status: int) -> None:
        _close(self._server, status, "")

    def ended(self, outcome: Outcome) -> None:
        found = {
            names.CHOSEN_ENGINE: outcome.engine, names.DECISION_ID: outcome.decision_id,
            names.INPUT_TOKENS: outcome.input_tokens, names.OUTPUT_TOKENS: outcome.output_tokens,
            names.CACHED_TOKENS: outcome.cached_tokens, names.TIME_TO_FIRST_CHUNK: outcome.ttft,
            names.REQUEST_STREAM: outcome.stream,
        }  # fmt: skip
        error = outcome.error and outcome.result.value
        span = self._call
        if span is not None:
            span.set_attributes({name: value for name, value in found.items() if value is not None})
            _close(span, outcome.status, error)
        _close(self._server, outcome.status, error)


def _close(span: Span, status: int | None, error: str) -> None:
    if status is not None:
        span.set_attribute(names.HTTP_STATUS, status)
    if error:
        span.set_attribute(names.ERROR_TYPE, error)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
