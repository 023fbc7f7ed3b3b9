"""Read buckets as windows: requests, rates, percentiles and objectives over a stretch of time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from routing import sketch
from routing.models import Bucket
from routing.outcomes import Source

WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts and latencies of one stretch. `judged` leaves out blameless ends; latencies are sketches in seconds."""

    start: datetime
    seconds: float
    total: int = 0
    ok: int = 0
    failed: int = 0
    ttft_good: int = 0
    e2e_good: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    ttft: sketch.Sketch = field(default_factory=dict)
    e2e: sketch.Sketch = field(default_factory=dict)
    tpot: sketch.Sketch = field(default_factory=dict)

    @property
    def judged(self) -> int:
        return self.ok + self.failed

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.judged if self.judged else None

    @property
    def requests_per_second(self) -> float:
        return self.ok / self.seconds

    def ttft_p95(self) -> float | None:
        return sketch.quantile(self.ttft, 0.95)

    def e2e_p95(self) -> float | None:
        return sketch.quantile(self.e2e, 0.95, failures=self.failed)


def merge(buckets: Iterable[Bucket], *, start: datetime, seconds: float) -> Figures:
    rows = list(buckets)
    return Figures(
        start=start,
        seconds=seconds,
        total=sum(row.total for row in rows),
        ok=sum(row.ok for row in rows),
        failed=sum(row.failed for row in rows),
        ttft_good=sum(row.ttft_good for row in rows),
        e2e_good=sum(row.e2e_good for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        ttft=sketch.merge(row.ttft for row in rows),
        e2e=sketch.merge(row.e2e for row in rows),
        tpot=sketch.merge(row.tpot for row in rows),
    )


def buckets(
    since: datetime,
    until: datetime,
    *,
    route: str | None = None,
    engine: str | None = None,
    sources: Sequence[Source] = (Source.CLIENT,),
) -> list[Bucket]:
    found = Bucket.objects.between(since, until).filter(source__in=sources)
    if route is not None:
        found = found.filter(route=route)
    if engine is not None:
        found = found.filter(engine=engine)
    return list(found.order_by("start"))


def figures(
    since: datetime,
    until: datetime,
    *,
    route: str | None = None,
    engine: str | None = None,
    sources: Sequence[Source] = (Source.CLIENT,),
) -> Figures:
    """All of [since, until) as one stretch."""
    rows = buckets(since, until, route=route, engine=engine, sources=sources)
    return merge(rows, start=since, seconds=(until - since).total_seconds())


def series(rows: Sequence[Bucket], since: datetime, until: datetime, *, step: timedelta = WINDOW) -> list[Figures]:
    """`rows` cut into consecutive windows of `step` from `since` (aligned by the caller) to `until`."""
    windows, start = [], since
    while start < until:
        inside = [row for row in rows if start <= row.start < start + step]
        windows.append(merge(inside, start=start, seconds=step.total_seconds()))
        start += step
    return windows


def floor(at: datetime, step: timedelta = WINDOW) -> datetime:
    """The start of the window that holds `at`."""
    seconds = step.total_seconds()
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, at.tzinfo)
