"""OpenTelemetry set-up of console and gateway: the only place that knows the SDK.

Nothing is exported unless OTEL_EXPORTER_OTLP_ENDPOINT is set; the API calls elsewhere then cost next to nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider  # noqa: TID251
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: TID251
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View  # noqa: TID251
from opentelemetry.sdk.resources import Resource  # noqa: TID251
from opentelemetry.sdk.trace import TracerProvider  # noqa: TID251
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: TID251
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased  # noqa: TID251

from console import env

# The semantic conventions' edges with our objectives' limits, 7 and 20 s, among them (gateways.md 2.19).
DURATION_EDGES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 7, 10.24, 20, 40.96, 81.92)
FIRST_TOKEN_EDGES = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7, 10)
PER_TOKEN_EDGES = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
EDGES = {
    "gen_ai.server.request.duration": DURATION_EDGES,
    "gen_ai.server.time_to_first_token": FIRST_TOKEN_EDGES,
    "gen_ai.server.time_per_output_token": PER_TOKEN_EDGES,
}

Stop = Callable[[], None]


def start(service: str) -> Stop:
    """Returns what flushes and stops the exporters."""
    if not settings.OTLP_ENDPOINT:
        return lambda: None
    resource = Resource.create({"service.name": f"engine-console.{service}"})
    # A client's own traceparent is continued, but it does not decide how much we record. The gateway draws by itself
    # which requests begin a trace.
    by_share = TraceIdRatioBased(trace_ratio())
    root = ALWAYS_ON if service == "gateway" else by_share
    tracing = TracerProvider(resource=resource, sampler=ParentBased(root, remote_parent_sampled=by_share))
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    views = [
        View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(edges))
        for name, edges in EDGES.items()
    ]
    metering = MeterProvider(
        resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())], views=views
    )
    metrics.set_meter_provider(metering)
    if service == "console":
        DjangoInstrumentor().instrument()

    def stop() -> None:
        tracing.shutdown()
        metering.shutdown()

    return stop


def trace_ratio() -> float:
    """The share of requests that are traced; 0 where traces go nowhere."""
    return env.decimal("TRACE_SAMPLE_RATIO", 0.01, high=1) if settings.OTLP_ENDPOINT else 0.0


def outcome_meter() -> Callable[[Iterable[Mapping[str, Any]]], None]:
    """Records stored outcomes as gen_ai.server.* histograms, off the hot path."""
    meter = metrics.get_meter("engine-console.gateway")
    duration, first, per_token = (meter.create_histogram(name, unit="s") for name in EDGES)

    def observe(rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            labels = {
                "gen_ai.operation.name": row["operation"],
                "gen_ai.request.model": row["route"],
                "console.engine": row["engine"] or "none",
                "console.result": str(row["result"]),
            }
            for histogram, value in ((duration, row["e2e"]), (first, row["ttft"]), (per_token, row["tpot"])):
                if value is not None:
                    histogram.record(value, labels)

    return observe
