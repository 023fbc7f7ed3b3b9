"""Audit: every change, newest first, and whether the chain of rows still holds."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.audit import first_broken
from console.models import AuditEvent
from console.pages.changes import describe

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the reader asked for. `before` is a sequence number: only older rows are shown."""

    subject: str = ""
    action: str = ""
    actor: str = ""
    before: int | None = None

    def rows(self) -> QuerySet[AuditEvent]:
        found = AuditEvent.objects.order_by("-sequence")
        if self.subject:
            found = found.filter(subject__icontains=self.subject)
        if self.action:
            found = found.filter(action=self.action)
        if self.actor:
            found = found.filter(actor_name__icontains=self.actor)
        return found if self.before is None else found.filter(sequence__lt=self.before)

    def address(self, **changed: Any) -> str:
        """The same question with something changed, as a query string."""
        asked = {"subject": self.subject, "action": self.action, "actor": self.actor, **changed}
        return "?" + urlencode({name: value for name, value in asked.items() if value})

    @property
    def filters(self) -> list[tuple[str, str, str]]:
        """Name, value, and the address without it."""
        asked = (("subject", self.subject), ("action", self.action), ("actor", self.actor))
        return [(name, value, self.address(**{name: ""})) for name, value in asked if value]


def query(given: QueryDict) -> Query:
    """A `before` that is no number is ignored, as if the first page was asked for."""
    before = given.get("before", "")
    return Query(
        subject=given.get("subject", "").strip()[:120],
        action=given.get("action", "").strip()[:60],
        actor=given.get("actor", "").strip()[:150],
        before=int(before) if before.isdecimal() and len(before) < 18 else None,
    )


@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    asked = query(request.GET)
    events = list(asked.rows()[: PAGE + 1])
    older = asked.address(before=events[PAGE - 1].sequence) if len(events) > PAGE else ""
    context = {
        "asked": asked,
        "changes": [describe(event) for event in events[:PAGE]],
        "older": older,
        "newest": AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0,
        "actions": AuditEvent.objects.order_by("action").values_list("action", flat=True).distinct(),
        "now": timezone.now(),
    }
    return render(request, "audit/page.html", context)


@require_GET
def newer(request: HttpRequest, sequence: int) -> HttpResponse:
    """How many rows came since the page was made."""
    count = AuditEvent.objects.filter(sequence__gt=sequence).count()
    return render(request, "audit/newer.html", {"newest": sequence, "count": count})


@require_GET
def chain(request: HttpRequest) -> HttpResponse:
    """Reads every row once: asked for by a click or after the page is drawn, never by a timer."""
    broken = first_broken()
    context = {
        "broken": broken,
        "broken_text": f"{broken}.",
        "count": AuditEvent.objects.count(),
        "now": timezone.now(),
    }
    alone = "HX-Request" in request.headers
    return render(request, "audit/chain.html" if alone else "audit/chain_page.html", context)


urlpatterns: list[URLPattern] = [
    path("audit/", audit, name="audit"),
    path("audit/newer/<int:sequence>/", newer, name="audit-newer"),
    path("audit/chain/", chain, name="audit-chain"),
]
