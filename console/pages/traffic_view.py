"""What the page of one route is made of; shared by the views that show it and those that change it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console.forms.traffic import PRESETS, SplitForm
from console.pages.release_view import tone, word
from console.pages.traffic_effect import effect, headline, in_words
from console.pages.traffic_history import history, way_back
from console.pages.traffic_truth import Truth, truth
from console.permissions import Capability, may
from engines.models import Engine
from gates.release_actions import active_release
from routing.actions import Conflict
from routing.models import Route, RouteRevision
from routing.publish import members_from_json
from routing.table import Member, Role


@dataclass(frozen=True, slots=True)
class Side:
    """One column of the conflict card."""

    title: str
    members: Sequence[Member]
    revision: RouteRevision | None = None


@dataclass(frozen=True, slots=True)
class ConflictCard:
    """Base, theirs and yours, and the button that puts yours on top of theirs."""

    base: Side
    theirs: Side
    yours: Side
    label: str

    @property
    def sides(self) -> tuple[Side, Side, Side]:
        return self.base, self.theirs, self.yours


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of the stacked bar, in per cent of its width."""

    slot: int
    x: float
    width: float


def editor_for(route: Route, data: Any = None) -> SplitForm:
    current = route.current()
    return SplitForm(
        data,
        engines=Engine.objects.prefetch_related("replicas").order_by("name"),
        current=members_from_json(current.members),
        expected=current.number,
    )


def render_route(
    request: HttpRequest,
    route: Route,
    *,
    form: SplitForm | None = None,
    conflict: Conflict | None = None,
    wanted: Sequence[Member] | None = None,
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    """`wanted` is what was asked for where it did not come from the form."""
    card = None
    if conflict is not None:
        mine = form.members if form is not None else list(wanted or ())
        card, form = _in_conflict(request, route, conflict, mine)
    context = {
        **truth_context(route),
        **_editor_context(request, route, form),
        "conflict": card,
        "refused": refused,
        **_route_context(request, route),
    }
    return render(request, "traffic/page.html", context, status=status)


def _in_conflict(
    request: HttpRequest, route: Route, conflict: Conflict, mine: Sequence[Member]
) -> tuple[ConflictCard, SplitForm]:
    card = conflict_card(route, conflict, mine, expected=_posted_number(request))
    return card, rebased(route, mine, reason=request.POST.get("reason", ""))


def _route_context(request: HttpRequest, route: Route) -> dict[str, Any]:
    return {
        "tabs": Route.objects.order_by("name"),
        "history": history(route, before=_before(request)),
        "way_back": way_back(route),
        **_release_context(request, route),
    }


def _release_context(request: HttpRequest, route: Route) -> dict[str, Any]:
    """The release that moves this route's canary now, in words; whether this person may override it."""
    release = active_release(route.name)
    may_override = may(request.user, Capability.APPROVE) and bool(route.owner or route.governed)
    if release is None:
        return {"running": None, "may_override": may_override}
    running = {"row": release, "word": word(release), "tone": tone(release), "weighted": release.stage > 0}
    return {"running": running, "may_override": may_override}


def truth_context(route: Route) -> dict[str, Any]:
    route.refresh_from_db()
    seen = truth(route, now=timezone.now())
    return {"route": route, "truth": seen, "bar": bar(seen), "split_words": in_words([r.member for r in seen.rows])}


def _editor_context(request: HttpRequest, route: Route, form: SplitForm | None) -> dict[str, Any]:
    if not may(request.user, Capability.OPERATE):
        return {}
    form = form or editor_for(route)
    return {"form": form, "presets": PRESETS, **preview_context(route, form)}


def preview_context(route: Route, form: SplitForm) -> dict[str, Any]:
    """The effect of what the form holds, or of nothing while it does not add up."""
    current = list(form.current.values())
    if form.is_bound:
        form.is_valid()
    if not form.is_bound or not form.members or form.non_field_errors():
        return {"effect": None, "headline": ""}
    return {
        "effect": effect(route.name, form.members, current, form.engines),
        "headline": headline(form.members, current),
    }


def rebased(route: Route, members: Sequence[Member], *, reason: str) -> SplitForm:
    """The editor with `members` typed in, on top of the revision in force now."""
    route.refresh_from_db()
    named = {member.engine: member for member in members}
    data: dict[str, Any] = {"expected": route.revision, "reason": reason}
    for name in Engine.objects.values_list("name", flat=True):
        member = named.get(name)
        data[f"role:{name}"] = member.role.value if member else "none"
        data[f"weight:{name}"] = member.weight if member else 0
        if member and member.canary:
            data[f"canary:{name}"] = "on"
    return editor_for(route, data)


def conflict_card(route: Route, conflict: Conflict, mine: Sequence[Member], *, expected: int) -> ConflictCard:
    base = route.revisions.filter(number=expected).first()
    theirs = members_from_json(conflict.current.members)
    return ConflictCard(
        Side("Base", members_from_json(base.members) if base else (), base),
        Side("Theirs", theirs, conflict.current),
        Side("Yours", mine),
        headline(mine, theirs),
    )


def bar(seen: Truth) -> list[Part]:
    """The requested split as pieces side by side, a hair of space between them."""
    parts, x = [], 0.0
    for row in seen.rows:
        if row.member.role is Role.SPLIT and row.member.weight:
            gap = 0.3 if x else 0.0
            parts.append(Part(slot=row.engine.slot, x=x + gap, width=row.member.weight - gap))
            x += row.member.weight
    return parts


def _posted_number(request: HttpRequest) -> int:
    text = request.POST.get("expected", "")
    return int(text) if text.isdecimal() else 0


def _before(request: HttpRequest) -> int | None:
    text = request.GET.get("before", "")
    return int(text) if text.isdecimal() else None
