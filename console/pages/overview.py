"""Overview: is it bad, since when, what changed, and the way back."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.charts import series
from console.models import AuditEvent
from console.pages import cards, gateways, objectives, summary
from console.pages.changes import changes, describe
from engines.models import Engine
from routing import windows
from routing.models import Bucket
from routing.publish import current_settings

SHOWN_CHANGES = 6
CHART_SPAN = timedelta(hours=1)
SHOWN_MARKS = 40


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "overview/page.html", {**_state(now), **_changes()})


@require_GET
def state(request: HttpRequest) -> HttpResponse:
    """Sentence, incident, engine cards and objectives: what is fetched every five seconds."""
    return render(request, "overview/live.html", _state(timezone.now()))


@require_GET
def what_changed(request: HttpRequest) -> HttpResponse:
    return render(request, "overview/page.html#changes", _changes())


@require_GET
def charts(request: HttpRequest) -> JsonResponse:
    """The last hour by engine, in windows of 60 s."""
    now = timezone.now()
    until = windows.floor(now)
    by_engine = _series(until - CHART_SPAN, until)
    marks = _marks(now - CHART_SPAN)
    figures = {
        "ttft": series.ttft_p95(by_engine, limit=current_settings().ttft_limit, marks=marks),
        "rate": series.finished_per_second(by_engine, marks=marks),
    }
    return JsonResponse({"as_of": now.strftime("%H:%M:%S UTC"), "charts": figures})


def _state(now: datetime) -> dict[str, Any]:
    found = cards.cards(now)
    rows = objectives.rows(now)
    burning = objectives.burning(rows)
    carriers = gateways.acknowledgement(now)
    engines = [card.now for card in found]
    measured = any(row.n for row in rows)
    stale = cards.stale_since(found)
    phrases = summary.sentence(engines, burning, measured=measured, last_known=stale is not None, now=now)
    incident = summary.incident(
        engines,
        burning,
        probes_stale_since=stale,
        gateways_silent_since=carriers.last_heard if carriers.gateways and not carriers.present else None,
        now=now,
    )
    return {
        "now": now,
        "cards": found,
        "rows": rows,
        "spans": objectives.COLUMNS,
        "gateways": carriers,
        "phrases": phrases,
        "plain": summary.plain(phrases),
        "state_title": summary.title(engines),
        "incident": incident,
    }


def _changes() -> dict[str, Any]:
    return {"changes": changes(AuditEvent.objects.order_by("-sequence")[:SHOWN_CHANGES])}


def _series(since: datetime, until: datetime) -> dict[tuple[str, int], list[windows.Figures]]:
    by_engine: dict[str, list[Bucket]] = {}
    for row in windows.buckets(since, until, sources=cards.SOURCES):
        by_engine.setdefault(row.engine, []).append(row)
    return {
        (name, slot): windows.series(by_engine.get(name, []), since, until)
        for name, slot in Engine.objects.order_by("name").values_list("name", "slot")
    }


def _marks(since: datetime) -> list[dict[str, str]]:
    events = AuditEvent.objects.filter(at__gte=since).order_by("-sequence")[:SHOWN_MARKS]
    found = [describe(event) for event in events]
    return [
        {"at": change.event.at.strftime("%Y-%m-%dT%H:%M:%SZ"), "text": change.text, "href": change.address}
        for change in found
    ]


urlpatterns: list[URLPattern] = [
    path("", overview, name="overview"),
    path("overview/state/", state, name="overview-state"),
    path("overview/changes/", what_changed, name="overview-changes"),
    path("overview/charts.json", charts, name="overview-charts"),
]
