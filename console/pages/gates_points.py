"""Points of a run for the live charts: one a second, or buckets of 10 s when there are too many to draw. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_POINTS = 1800
BUCKET_SECONDS = 10
RATES = ("offered", "served")
# The worst of a bucket stays visible; an average would hide it.
PEAKS = ("in_flight", "ttft_p50", "ttft_p95", "e2e_p50", "e2e_p95", "tpot_p50", "queue", "kv_use")

Point = Mapping[str, Any]


def drawn(points: Sequence[Point]) -> tuple[list[Point], int]:
    """The points to send and the seconds that each stands for."""
    if len(points) <= MOST_POINTS:
        return list(points), 1
    return downsample(points, BUCKET_SECONDS), BUCKET_SECONDS


def downsample(points: Iterable[Point], seconds: int) -> list[Point]:
    """Rates are means, latencies and levels the highest of the bucket, errors their mean per second.

    A bucket never spans two phases, so that a phase keeps its edges.
    """
    buckets: dict[tuple[int, Any, Any], list[Point]] = {}
    for point in points:
        key = (int(point["t"] // seconds), point.get("phase"), point.get("level"))
        buckets.setdefault(key, []).append(point)
    return [_merged(rows) for rows in buckets.values()]


def _merged(rows: Sequence[Point]) -> Point:
    merged: dict[str, Any] = {name: rows[0].get(name) for name in ("t", "at", "phase", "level")}
    merged |= {name: _mean(rows, name) for name in RATES}
    merged |= {name: max(_known(rows, name), default=None) for name in PEAKS}
    kinds = sorted({kind for row in rows for kind in row.get("errors") or {}})
    merged["errors"] = {kind: sum((row.get("errors") or {}).get(kind, 0) for row in rows) / len(rows) for kind in kinds}
    merged["verdict_so_far"] = rows[-1].get("verdict_so_far")
    return merged


def _mean(rows: Sequence[Point], name: str) -> float | None:
    known = _known(rows, name)
    return sum(known) / len(known) if known else None


def _known(rows: Sequence[Point], name: str) -> list[float]:
    return [row[name] for row in rows if row.get(name) is not None]
