"""Prometheus metrics of one gateway. Labels are bounded: routes and engines of the table, results of an enum."""

import os
from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from routing.gateway import names
from routing.outcomes import Outcome

# The objectives, 7 s to the first token and 20 s to the end, are edges, so that they can be read off exactly.
TTFT_EDGES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.5, 5.0, 7.0, 10.0, 20.0, 40.0)
E2E_EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)
TPOT_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


class _PerEngine:
    """The metrics of one (route, engine, source), their labels looked up once."""

    __slots__ = ("cached", "e2e", "input", "output", "tpot", "ttft")

    def __init__(self, metrics: "Metrics", labels: tuple[str, str, str]) -> None:
        self.ttft = metrics.ttft.labels(*labels)
        self.e2e = metrics.e2e.labels(*labels)
        self.tpot = metrics.tpot.labels(*labels)
        self.input = metrics.tokens.labels(*labels, "input")
        self.output = metrics.tokens.labels(*labels, "output")


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        engine = ("route", "engine", "source")
        make = self.registry
        self.requests = Counter(
            names.REQUESTS, "Requests that ended.", (*engine, "operation", "result", "status"), registry=make
        )
        self.refused = Counter(
            names.REFUSED, "Requests refused before a key was known.", ("status", "code"), registry=make
        )
        self.retries = Counter(names.RETRIES, "Second attempts.", ("route", "engine", "after"), registry=make)
        self.ttft = Histogram(names.TTFT, "Seconds to the first content.", engine, buckets=TTFT_EDGES, registry=make)
        self.e2e = Histogram(names.E2E, "Seconds to the end.", engine, buckets=E2E_EDGES, registry=make)
        self.tpot = Histogram(names.TPOT, "Seconds per further token.", engine, buckets=TPOT_EDGES, registry=make)
        self.tokens = Counter(names.TOKENS, "Tokens as engines count them.", (*engine, "direction"), registry=make)
        self.in_flight = self._gauge(names.IN_FLIGHT, "Requests being answered.", "livesum")
        self.table_version = self._gauge(names.TABLE_VERSION_METRIC, "Version of the routing table in use.", "livemin")
        self.table_age = self._gauge(names.TABLE_AGE, "Seconds since the table was last confirmed.", "livemax")
        self.health_age = self._gauge(names.HEALTH_AGE, "Seconds since health was last confirmed.", "livemax")
        self.queue_depth = self._gauge(names.QUEUE_DEPTH, "Outcomes waiting to be saved.", "livesum")
        self.dropped = self._gauge(names.OUTCOMES_DROPPED, "Outcomes lost because the queue was full.", "livesum")
        self._counters: dict[tuple[str, ...], Callable[[], None]] = {}
        self._engines: dict[tuple[str, str, str], _PerEngine] = {}

    def _gauge(self, name: str, words: str, mode: Literal["livesum", "livemin", "livemax"]) -> Gauge:
        return Gauge(name, words, registry=self.registry, multiprocess_mode=mode)

    def observe(self, outcome: Outcome) -> None:
        labels = (outcome.route, outcome.engine or "", outcome.source.value)
        key = (*labels, outcome.operation, outcome.result.value, str(outcome.status))
        count = self._counters.get(key)
        if count is None:
            count = self._counters[key] = self.requests.labels(*key).inc
        count()
        if outcome.engine is None:
            return
        of = self._engines.get(labels)
        if of is None:
            of = self._engines[labels] = _PerEngine(self, labels)
        if outcome.e2e is not None:
            of.e2e.observe(outcome.e2e)
        if outcome.ttft is not None:
            of.ttft.observe(outcome.ttft)
        if outcome.tpot is not None:
            of.tpot.observe(outcome.tpot)
        if outcome.input_tokens:
            of.input.inc(outcome.input_tokens)
        if outcome.output_tokens:
            of.output.inc(outcome.output_tokens)

    def render(self) -> bytes:
        """The text format; of all gateways together where PROMETHEUS_MULTIPROC_DIR is set."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
