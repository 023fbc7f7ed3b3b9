"""Objectives per route: figures now, how fast the error budget burns, and the last windows. Client traffic only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Q, Sum

from console.pages.summary import Burning
from routing import windows
from routing.models import Bucket, Route
from routing.outcomes import Source
from routing.publish import current_settings
from routing.table import Settings
from routing.windows import Figures

SPANS = {
    "5 min": timedelta(minutes=5),
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "3 d": timedelta(days=3),
}
STRIP = 30
P95_ALLOWED = 0.05
WATCH, PAGE = 1.0, 14.4
KEEP_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Exact counters of one stretch; `judged` leaves blameless ends out."""

    judged: int = 0
    failed: int = 0
    ttft_good: int = 0
    e2e_good: int = 0


@dataclass(frozen=True, slots=True)
class Burn:
    """`times` is None when there are too few requests to say."""

    times: float | None
    judged: int

    @property
    def word(self) -> str:
        if self.times is None:
            return "no data" if not self.judged else f"too few, n = {self.judged}"
        return "page" if self.times >= PAGE else "watch" if self.times >= WATCH else "fine"

    @property
    def tone(self) -> str:
        return {"page": "fail", "watch": "warn"}.get(self.word, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`now` is seconds for latencies and a share for the error rate; `unit` says which."""

    route: str
    name: str
    target: str
    now: float | None
    unit: str
    n: int
    burns: tuple[Burn, ...]
    marks: tuple[str, ...]

    @property
    def met(self) -> int:
        return self.marks.count("met")

    @property
    def judged_windows(self) -> int:
        return self.met + self.marks.count("missed")


@dataclass(frozen=True, slots=True)
class Objective:
    """`allowed` is the share of requests that may miss it."""

    key: str
    name: str
    target: str
    allowed: float

    def missed(self, counts: Counts | Figures) -> int:
        if self.key == "errors":
            return counts.failed
        return counts.judged - (counts.ttft_good if self.key == "ttft" else counts.e2e_good)

    def now(self, figures: Figures) -> float | None:
        return {"ttft": figures.ttft_p95(), "e2e": figures.e2e_p95(), "errors": figures.error_rate}[self.key]


def objectives(settings: Settings) -> tuple[Objective, ...]:
    return (
        Objective("ttft", "TTFT P95", f"≤ {settings.ttft_limit:g} s", P95_ALLOWED),
        Objective("e2e", "E2E P95", f"≤ {settings.e2e_limit:g} s", P95_ALLOWED),
        Objective("errors", "error rate", f"< {settings.error_rate_limit * 100:g} %", settings.error_rate_limit),
    )


def burn(missed: int, judged: int, allowed: float) -> Burn:
    """Budget spent per budget allowed. A single miss among a handful says nothing; three do."""
    if not judged or (judged * allowed < 1 and 0 < missed < 3):
        return Burn(None, judged)
    return Burn(missed / judged / allowed, judged)


def mark(missed: int, judged: int, allowed: float) -> str:
    if not judged:
        return "thin"
    return "met" if missed / judged <= allowed else "missed"


def burning(rows: Sequence[Row]) -> list[Burning]:
    """Objectives whose budget burns in both short windows: one alone is a blip."""
    found = []
    for row in rows:
        five, hour = row.burns[0], row.burns[1]
        if five.times is not None and hour.times is not None and min(five.times, hour.times) >= WATCH:
            word = "page" if min(five.times, hour.times) >= PAGE else "watch"
            found.append(Burning(row.route, row.name, five.times, word))
    return found


def rows(now: datetime) -> list[Row]:
    settings = current_settings()
    found: list[Row] = []
    for route in Route.objects.order_by("name").values_list("name", flat=True):
        counts = spans(route, now)
        last_five = windows.figures(now - SPANS["5 min"], now, route=route)
        until = windows.floor(now)
        since = until - STRIP * windows.WINDOW
        strip = windows.series(windows.buckets(since, until, route=route), since, until)
        found += [_row(route, objective, last_five, counts, strip) for objective in objectives(settings)]
    return found


def spans(route: str, now: datetime) -> list[Counts]:
    """One stretch per SPANS. The last five minutes are read anew, the long ones once a minute."""
    minute = windows.floor(now)
    key = f"objectives:{route}:{minute:%d%H%M}"
    fresh = _count(route, now, {"5 min": SPANS["5 min"]})
    kept = cache.get(key)
    if kept is None:
        kept = _count(route, now, {name: span for name, span in SPANS.items() if name != "5 min"})
        cache.set(key, kept, KEEP_SECONDS)
    return [*fresh, *kept]


def _count(route: str, now: datetime, wanted: dict[str, timedelta]) -> list[Counts]:
    sums: dict[str, Any] = {}
    for i, span in enumerate(wanted.values()):
        for column in ("ok", "failed", "ttft_good", "e2e_good"):
            sums[f"{column}_{i}"] = Sum(column, filter=Q(start__gte=now - span), default=0)
    found = Bucket.objects.between(now - max(wanted.values()), now).filter(route=route, source=Source.CLIENT)
    total = found.aggregate(**sums)
    return [
        Counts(
            judged=total[f"ok_{i}"] + total[f"failed_{i}"],
            failed=total[f"failed_{i}"],
            ttft_good=total[f"ttft_good_{i}"],
            e2e_good=total[f"e2e_good_{i}"],
        )
        for i in range(len(wanted))
    ]


def _row(route: str, objective: Objective, figures: Figures, counts: Sequence[Counts], strip: Sequence[Figures]) -> Row:
    return Row(
        route=route,
        name=objective.name,
        target=objective.target,
        now=objective.now(figures),
        unit="share" if objective.key == "errors" else "seconds",
        n=figures.judged,
        burns=tuple(burn(objective.missed(count), count.judged, objective.allowed) for count in counts),
        marks=tuple(mark(objective.missed(window), window.judged, objective.allowed) for window in strip),
    )
