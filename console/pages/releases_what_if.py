"""What if: other detector settings over the releases that were recorded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.forms.releases import DetectorForm
from gates.detectors.replay import Replay, replay
from gates.detectors.settings import DetectorSettings
from gates.models import Release
from gates.release_look import first_shift
from gates.release_watch import recorded
from gates.releases import State

SHOWN = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One release: what happened, and what these settings would have made of it."""

    release: Release
    found: Replay
    at: datetime | None

    @property
    def differs(self) -> bool:
        return (self.found.alarm is not None) != (self.release.cause in {"blame", "protect"})


@require_GET
def what_if(request: HttpRequest) -> HttpResponse:
    form = DetectorForm(request.GET if request.GET else None)
    lines = lines_of(form.settings()) if form.is_bound and form.is_valid() else []
    told = [line for line in lines if line.found.events]
    context: dict[str, Any] = {
        "form": form,
        "lines": lines,
        "asked": form.is_bound and form.is_valid(),
        "rolled": sum(line.found.alarm is not None for line in told),
        "told": len(told),
        "fine": sum(line.found.alarm is not None and line.release.state == State.FINAL for line in told),
    }
    return render(request, "releases/what_if.html", context, status=422 if form.errors else 200)


def lines_of(settings: DetectorSettings) -> list[Line]:
    """The newest releases that ever had weight."""
    found = []
    for release in Release.objects.exclude(epoch=None).select_related("policy").order_by("-pk")[:SHOWN]:
        began = first_shift(release)
        if began is None:
            continue
        result = replay(recorded(release, began, release.finished_at or timezone.now()), settings)
        at = datetime.fromtimestamp(result.at, began.tzinfo) if result.at is not None else None
        found.append(Line(release, result, at))
    return found


urlpatterns: list[URLPattern] = [path("releases/what-if/", what_if, name="releases-what-if")]
