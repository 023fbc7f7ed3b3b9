"""A fake OpenTelemetry collector: takes OTLP over HTTP on loopback and keeps spans and metric names."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class SpanSeen:
    name: str
    span_id: bytes
    parent_id: bytes
    attributes: dict[str, Any]


@dataclass
class Collector:
    """`raw` keeps every byte that came, to search for what must not be there."""

    url: str
    spans: list[SpanSeen] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    raw: bytearray = field(default_factory=bytearray)

    def named(self, start: str) -> list[SpanSeen]:
        return [span for span in list(self.spans) if span.name.startswith(start)]

    def take(self, path: str, body: bytes) -> None:
        self.raw += body
        if path.endswith("/traces"):
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [seen(span) for scope in group.scope_spans for span in scope.spans]
        else:
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics |= {metric.name for scope in group.scope_metrics for metric in scope.metrics}


def seen(span: Any) -> SpanSeen:
    values = {
        item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in span.attributes
    }
    return SpanSeen(span.name, span.span_id, span.parent_span_id, values)


@contextmanager
def serve() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """A test says nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield collector
    server.shutdown()
    server.server_close()
    thread.join()
