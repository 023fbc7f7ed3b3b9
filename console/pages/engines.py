"""Engines: the list, and the health of one engine taken apart."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET

import console.converters  # noqa: F401  registers <name:…>
from console.models import AuditEvent
from console.pages import engine_acts, engine_register, profiles
from console.pages.changes import changes
from console.pages.engine_health import breakdown
from console.pages.engine_view import contract_of, detail, lines, samples, score_chart
from console.probing import limits_of
from engines.models import Engine
from engines.profiles import with_digest
from routing.actions import routes_naming
from routing.publish import current_settings


@require_GET
def engine_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    part = request.headers.get("HX-Target") == "engine-list"
    return render(request, "engines/lines.html" if part else "engines/page.html", {"lines": lines(now), "as_of": now})


@require_GET
def engine_page(request: HttpRequest, name: str) -> HttpResponse:
    engine = get_object_or_404(Engine.objects.with_replicas(), name=name)
    part = request.headers.get("HX-Target") == "engine-detail"
    return render(request, "engines/body.html" if part else "engines/detail.html", _context(request, engine))


def _context(request: HttpRequest, engine: Engine) -> dict[str, Any]:
    now = timezone.now()
    number = request.GET.get("replica", "")
    found = detail(engine, replica=int(number) if number.isdecimal() else None, now=now)
    chosen = found.chosen
    digests = {row.profile_digest for row in found.replicas} - {""}
    return {
        "engine": engine,
        "detail": found,
        "breakdown": breakdown(chosen, now=now, limits=limits_of(current_settings())) if chosen else None,
        "chart": score_chart(samples(chosen, now=now), now=now) if chosen else None,
        "contract": contract_of(engine, now=now),
        "places": routes_naming(engine.name),
        "changes": changes(AuditEvent.objects.filter(subject=f"engine:{engine.name}").order_by("-sequence")[:5]),
        "versions": [with_digest(digest) for digest in digests],
        "as_of": now,
    }


urlpatterns: list[URLPattern] = [
    path("engines/", engine_list, name="engines"),
    *engine_register.urlpatterns,
    *profiles.urlpatterns,
    *engine_acts.urlpatterns,
    path("engines/<name:name>/", engine_page, name="engine"),
]
