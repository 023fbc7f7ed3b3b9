"""Objectives per route: figures now, how fast the error budget burns, and the last windows. Client traffic only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Q, Sum

from console.pages.summary import Burning
from engines.slo import MIN_BAD, Count, Objective, Sli, Urgency, Verdict, burn_alerts, burn_rate, judge_window
from engines.slo import objectives as asked
from routing import windows
from routing.models import Bucket, Route
from routing.outcomes import Source
from routing.publish import current_settings
from routing.table import Settings
from routing.windows import Figures

# Seconds; half an hour only serves the alert rules, the others are columns.
SPANS = {"5 min": 300, "30 min": 1800, "1 h": 3600, "6 h": 21_600, "3 d": 259_200}
COLUMNS = ("5 min", "1 h", "6 h", "3 d")
FRESH = SPANS["5 min"]
STRIP = 30
WATCH, PAGE = 1.0, 14.4
KEEP_SECONDS = 60
NAMES = {Sli.TTFT: "TTFT P95", Sli.E2E: "E2E P95", Sli.SUCCESS: "error rate"}
MARKS = {Verdict.MET: "met", Verdict.BROKEN: "missed", Verdict.NO_DATA: "thin"}

# SLI → its good and total requests in one stretch.
Counts = Mapping[Sli, Count]


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
    burning: Burning | None

    @property
    def met(self) -> int:
        return self.marks.count("met")

    @property
    def judged_windows(self) -> int:
        return self.met + self.marks.count("missed")


def burn(count: Count, target: float) -> Burn:
    """A miss or two among a handful say nothing yet; as many as MIN_BAD do."""
    bad = count.total - count.good
    if count.total * (1 - target) < 1 and 0 < bad < MIN_BAD:
        return Burn(None, count.total)
    return Burn(burn_rate(count, target), count.total)


def burning(found: Iterable[Row]) -> list[Burning]:
    return [row.burning for row in found if row.burning]


def rows(now: datetime) -> list[Row]:
    settings = current_settings()
    goals = asked(ttft=settings.ttft_limit, e2e=settings.e2e_limit, error_rate=settings.error_rate_limit)
    found: list[Row] = []
    for route in Route.objects.order_by("name").values_list("name", flat=True):
        counts = spans(route, now)
        lately = windows.figures(now - timedelta(seconds=FRESH), now, route=route)
        until = windows.floor(now)
        since = until - STRIP * windows.WINDOW
        strip = windows.series(windows.buckets(since, until, route=route), since, until)
        verdicts = [judge_window(_counts(window), goals).by_sli for window in strip]
        for goal in goals:
            marks = tuple(MARKS[verdict[goal.sli]] for verdict in verdicts)
            found.append(_row(goal, settings, route=route, lately=lately, counts=counts, marks=marks))
    return found


def spans(route: str, now: datetime) -> dict[int, Counts]:
    """Seconds → counters. The last five minutes are read anew, the long stretches once a minute."""
    key = f"objectives:{route}:{windows.floor(now):%d%H%M}"
    kept: dict[int, Counts] | None = cache.get(key)
    if kept is None:
        kept = _read(route, now, [seconds for seconds in SPANS.values() if seconds != FRESH])
        cache.set(key, kept, KEEP_SECONDS)
    return {**_read(route, now, [FRESH]), **kept}


def _read(route: str, now: datetime, wanted: Sequence[int]) -> dict[int, Counts]:
    sums: dict[str, Any] = {}
    for seconds in wanted:
        inside = Q(start__gte=now - timedelta(seconds=seconds))
        for column in ("ok", "failed", "ttft_good", "e2e_good"):
            sums[f"{column}_{seconds}"] = Sum(column, filter=inside, default=0)
    found = Bucket.objects.between(now - timedelta(seconds=max(wanted)), now)
    total = found.filter(route=route, source=Source.CLIENT).aggregate(**sums)
    return {
        seconds: _slis(
            ok=total[f"ok_{seconds}"],
            failed=total[f"failed_{seconds}"],
            ttft_good=total[f"ttft_good_{seconds}"],
            e2e_good=total[f"e2e_good_{seconds}"],
        )
        for seconds in wanted
    }


def _counts(window: Figures) -> Counts:
    return _slis(ok=window.ok, failed=window.failed, ttft_good=window.ttft_good, e2e_good=window.e2e_good)


def _slis(*, ok: int, failed: int, ttft_good: int, e2e_good: int) -> Counts:
    total = ok + failed
    return {Sli.TTFT: Count(ttft_good, total), Sli.E2E: Count(e2e_good, total), Sli.SUCCESS: Count(ok, total)}


def _row(
    goal: Objective,
    settings: Settings,
    *,
    route: str,
    lately: Figures,
    counts: Mapping[int, Counts],
    marks: tuple[str, ...],
) -> Row:
    name = NAMES[goal.sli]
    now = {Sli.TTFT: lately.ttft_p95(), Sli.E2E: lately.e2e_p95(), Sli.SUCCESS: lately.error_rate}[goal.sli]
    by_span = {seconds: slis[goal.sli] for seconds, slis in counts.items()}
    alerts = burn_alerts(by_span, goal.target)
    worst = max(alerts, key=lambda alert: alert.rule.urgency is Urgency.PAGE, default=None)
    word = "page" if worst and worst.rule.urgency is Urgency.PAGE else "watch"
    share = goal.sli is Sli.SUCCESS
    return Row(
        route=route,
        name=name,
        target=f"< {settings.error_rate_limit * 100:g} %" if share else f"≤ {goal.limit:g} s",
        now=now,
        unit="share" if share else "seconds",
        n=lately.judged,
        burns=tuple(burn(by_span[SPANS[column]], goal.target) for column in COLUMNS),
        marks=marks,
        burning=Burning(route, name, worst.short_rate, word) if worst else None,
    )
