"""Prometheus metrics of the engine under vLLM's names with our own prefix, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engines.hf.batcher import BatcherStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FIRST_TOKEN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120)
BETWEEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
WHOLE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 120, 300, 600)


class Metrics:
    """Counted here: requests and tokens. Asked for at each scrape: what the batcher holds at that moment."""

    def __init__(self, model_name: str, stats: Callable[[], BatcherStats | None]) -> None:
        self.registry = CollectorRegistry()
        self._model_name = model_name
        self.prompt_tokens = self._counter("hf:prompt_tokens", "Prompt tokens.")
        self.generation_tokens = self._counter("hf:generation_tokens", "Tokens generated.")
        self.prefix_queries = self._counter("hf:prefix_cache_queries", "Prompt tokens looked up in the cache.")
        self.prefix_hits = self._counter("hf:prefix_cache_hits", "Prompt tokens found in the cache.")
        self.first_token = self._histogram("hf:time_to_first_token_seconds", FIRST_TOKEN_BUCKETS)
        self.between_tokens = self._histogram("hf:inter_token_latency_seconds", BETWEEN_BUCKETS)
        self.whole = self._histogram("hf:e2e_request_latency_seconds", WHOLE_BUCKETS)
        self._success = self._by_reason("hf:request_success", "Requests answered.", "finished_reason")
        self._rejections = self._by_reason("hf:admission_rejections", "Requests refused for load.", "reason")
        self._aborts = self._counter("hf:request_aborts", "Requests left by their client.")
        self._failures = self._counter("hf:request_failures", "Requests the engine failed.")
        self.registry.register(_Now(model_name, stats))

    def finished(self, reason: str) -> None:
        self._success.labels(self._model_name, reason).inc()

    def rejected(self, reason: str) -> None:
        self._rejections.labels(self._model_name, reason).inc()

    def aborted(self) -> None:
        self._aborts.inc()

    def failed(self) -> None:
        self._failures.inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        counter = Counter(name, text, labelnames=["model_name"], registry=self.registry)
        return counter.labels(self._model_name)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        what = name.removeprefix("hf:").replace("_", " ")
        histogram = Histogram(
            name, f"{what.capitalize()}.", labelnames=["model_name"], buckets=buckets, registry=self.registry
        )
        return histogram.labels(self._model_name)

    def _by_reason(self, name: str, text: str, reason: str) -> Counter:
        return Counter(name, text, labelnames=["model_name", reason], registry=self.registry)


class _Now(Collector):
    def __init__(self, model_name: str, stats: Callable[[], BatcherStats | None]) -> None:
        self._labels = [model_name]
        self._stats = stats

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        stats = self._stats()
        if stats is None:
            return
        yield self._gauge("hf:num_requests_running", "Requests in the batching manager.", stats.running)
        yield self._gauge("hf:num_requests_waiting", "Requests queued before it.", stats.waiting)
        if stats.kv_usage is not None:
            yield self._gauge("hf:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", stats.kv_usage)
        yield self._counter("hf:engine_steps", "Forward passes; stands still only when idle.", stats.steps)
        yield self._counter("hf:engine_restarts", "Restarts after a fatal error.", stats.restarts)

    def _gauge(self, name: str, text: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=["model_name"])
        family.add_metric(self._labels, value)
        return family

    def _counter(self, name: str, text: str, value: float) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=["model_name"])
        family.add_metric(self._labels, value)
        return family
