"""Prometheus text of an engine → the few numbers we watch, in one vocabulary. Pure.

Only lines that we need are parsed: an engine's page can hold thousands. A bad line is skipped, never a 0.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

METRICS: dict[str, str] = {
    "running": "requests",
    "waiting": "requests",
    "kv_use": "ratio",
    "steps": "steps",
    "prefix_hits": "tokens",
    "prefix_queries": "tokens",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
    "preemptions": "count",
    "awake": "flag",
    "started_at": "seconds",
}
"""Every name that an adapter's parse_metrics gives, with its unit."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number stands: the name after the engine's prefix, and how its series combine."""

    name: str
    combine: str
    label: tuple[str, str] | None = None
    prefixed: bool = True


SOURCES: dict[str, Source] = {
    "running": Source("num_requests_running", "sum"),
    "waiting": Source("num_requests_waiting", "sum"),
    "kv_use": Source("kv_cache_usage_perc", "max"),
    "steps": Source("iteration_tokens_total_count", "sum"),
    "prefix_hits": Source("prefix_cache_hits_total", "sum"),
    "prefix_queries": Source("prefix_cache_queries_total", "sum"),
    "input_tokens": Source("prompt_tokens_total", "sum"),
    "output_tokens": Source("generation_tokens_total", "sum"),
    "preemptions": Source("num_preemptions_total", "sum"),
    "awake": Source("engine_sleep_state", "min", ("sleep_state", "awake")),
    "started_at": Source("process_start_time_seconds", "max", prefixed=False),
}
"""vLLM's names; an adapter overrides single ones."""


def read_metrics(
    text: str, *, prefixes: tuple[str, ...], sources: Mapping[str, Source] | None = None
) -> dict[str, float]:
    """Values by our name; one that is absent, NaN or negative is not in the result."""
    sources = {**SOURCES, **(sources or {})}
    names: dict[str, list[str]] = {}
    for ours, source in sources.items():
        for prefix in prefixes if source.prefixed else ("",):
            names.setdefault(prefix + source.name, []).append(ours)
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for sample in samples(text, names):
        for ours in names[sample.name]:
            if _matches(sources[ours], sample):
                found.setdefault(ours, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return {ours: _combine(sources[ours].combine, list(series.values())) for ours, series in found.items()}


def samples(text: str, names: Iterable[str]) -> Iterator[Sample]:
    """The usable samples of the given full names. Of a series written twice both come, in order."""
    wanted = tuple(names)
    for line in text.splitlines():
        if line.startswith(wanted):
            sample = _sample(line)
            if sample is not None and sample.name in wanted:
                yield sample


def _sample(line: str) -> Sample | None:
    try:
        family = next(iter(text_string_to_metric_families(line)), None)
    except (ValueError, IndexError, KeyError):
        return None  # a malformed line is the engine's bug; the number is then unknown
    sample = family.samples[0] if family and family.samples else None
    return sample if sample and math.isfinite(sample.value) and sample.value >= 0 else None


def _matches(source: Source, sample: Sample) -> bool:
    return source.label is None or sample.labels.get(source.label[0]) == source.label[1]


def _combine(how: str, values: list[float]) -> float:
    if how == "sum":
        return math.fsum(values)
    return max(values) if how == "max" else min(values)
