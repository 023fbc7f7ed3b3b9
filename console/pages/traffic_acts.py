"""Changes of a route's traffic: apply, lower, restore, create, delete. Load, guard, act, answer."""

from collections.abc import Sequence
from typing import cast

from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST

import console.converters  # noqa: F401  registers <name:…>
from console.forms.traffic import PRESETS, ConfirmName, RouteForm
from console.models import User
from console.pages.traffic_effect import headline, in_words
from console.pages.traffic_truth import takers
from console.pages.traffic_view import editor_for, render_route
from console.permissions import Capability, may, requires
from engines.actors import Actor
from engines.models import Engine
from routing import actions, canary
from routing.actions import Conflict, InvalidSplit
from routing.models import Route, RouteRevision
from routing.publish import members_from_json
from routing.table import Member


def _actor(request: HttpRequest) -> Actor:
    return cast("User", request.user).actor


@require_POST
@requires(Capability.OPERATE)
def apply(request: HttpRequest, route: str) -> HttpResponse:
    found = get_object_or_404(Route, name=route)
    form = editor_for(found, request.POST)
    if not form.is_valid():
        return render_route(request, found, form=form, status=422)
    expected = form.cleaned_data["expected"]
    before = members_from_json(found.current().members)
    try:
        revision = actions.change_split(
            route,
            form.members,
            expected=expected,
            actor=_actor(request),
            reason=form.cleaned_data["reason"],
            override=overrides(request),
        )
    except Conflict as conflict:
        return render_route(request, found, form=form, conflict=conflict, status=409)
    except InvalidSplit as refused:
        form.add_error(None, str(refused))
        return render_route(request, found, form=form, status=422)
    messages.success(request, f"Requested revision {revision.number}: {headline(form.members, before)}.")
    return redirect("console:traffic-route", route)


@require_POST
@requires(Capability.OPERATE)
def lower(request: HttpRequest, route: str) -> HttpResponse:
    """One click: the engine goes to 0 %, the baseline takes its share."""
    found = get_object_or_404(Route, name=route)
    engine = get_object_or_404(Engine, name=clean_text(request, "engine")).name
    members = members_from_json(found.current().members)
    lowered = without_share(members, engine)
    if lowered is None:
        messages.error(request, f"Nothing changed: no baseline can take the share of {engine}. Move it in the editor.")
        return redirect("console:traffic-route", route)
    try:
        actions.change_split(
            route,
            lowered,
            expected=_number(request, "expected"),
            actor=_actor(request),
            reason=f"{engine} to 0 % by one click",
        )
    except Conflict as conflict:
        return render_route(request, found, conflict=conflict, wanted=lowered, status=409)
    except InvalidSplit as refused:
        return render_route(request, found, refused=str(refused), status=422)
    messages.success(request, f"Requested: {in_words(lowered)}.")
    return redirect("console:traffic-route", route)


@require_POST
@requires(Capability.OPERATE)
def restore(request: HttpRequest, route: str) -> HttpResponse:
    """Fields: number, expected, reason (may be empty). Needs nothing but the database."""
    found = get_object_or_404(Route, name=route)
    target = get_object_or_404(RouteRevision, route=found, number=_number(request, "number"))
    members = members_from_json(target.members)
    reason = clean_text(request, "reason") or f"back to revision {target.number}"
    expected = _number(request, "expected")
    try:
        revision = actions.restore(
            route, target.number, expected=expected, actor=_actor(request), reason=reason, override=overrides(request)
        )
    except Conflict as conflict:
        return render_route(request, found, conflict=conflict, wanted=members, status=409)
    except InvalidSplit as refused:
        text = f"Revision {target.number} cannot come back. {refused}"
        return render_route(request, found, refused=text, status=422)
    messages.success(request, f"Back to revision {target.number} as {revision.number}: {in_words(members)}.")
    return redirect("console:traffic-route", route)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def new_route(request: HttpRequest) -> HttpResponse:
    form = RouteForm(request.POST or None, engines=Engine.objects.order_by("name"), current=())
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            actions.create_route(name, form.members, actor=_actor(request), reason=form.cleaned_data["reason"])
        except IntegrityError:
            form.add_error("name", f"There is a route named {name} already.")
        else:
            messages.success(request, f"Route {name} created: {in_words(form.members)}.")
            return redirect("console:traffic-route", name)
    context = {"form": form, "presets": PRESETS}
    return render(request, "traffic/new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def delete_route(request: HttpRequest, route: str) -> HttpResponse:
    found = get_object_or_404(Route, name=route)
    form = ConfirmName(request.POST or None, name=route)
    if request.method == "POST" and form.is_valid():
        actions.delete_route(found, actor=_actor(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"Route {route} deleted.")
        return redirect("console:traffic")
    context = {"route": found, "form": form, "members": members_from_json(found.current().members)}
    return render(request, "traffic/delete.html", context, status=422 if form.errors else 200)


def without_share(members: Sequence[Member], engine: str) -> list[Member] | None:
    """`engine` at 0 %, its share added to the baseline with most weight. None when there is nobody to take it."""
    able = takers(members, engine)
    share = next((member.weight for member in members if member.engine == engine), 0)
    if not able or not share:
        return None
    taker = max(able, key=lambda member: member.weight).engine
    moved = {engine: 0, taker: share}
    return [
        Member(
            member.engine,
            member.role,
            0 if member.engine == engine else member.weight + moved.get(member.engine, 0),
            member.canary,
        )
        for member in members
    ]


@require_POST
@requires(Capability.APPROVE)
def govern(request: HttpRequest, route: str) -> HttpResponse:
    """`governed` is on or off: whether raising by hand needs an approver's override without a release too."""
    found = get_object_or_404(Route, name=route)
    wanted = request.POST.get("governed") == "on"
    canary.govern(found.name, governed=wanted, actor=_actor(request), reason=clean_text(request, "reason"))
    messages.success(request, f"{route} is {'a governed route' if wanted else 'governed no more'}.")
    return redirect("console:traffic-route", route)


def overrides(request: HttpRequest) -> bool:
    """An approver may raise a weight past a release; the audit says so in red."""
    return may(request.user, Capability.APPROVE) and request.POST.get("override") == "on"


def clean_text(request: HttpRequest, name: str) -> str:
    """What a field of no form holds, cut to what a reason may be."""
    return request.POST.get(name, "").replace("\x00", "").strip()[:500]


def _number(request: HttpRequest, name: str) -> int:
    """0 for what is no number: no revision has it."""
    text = request.POST.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


urlpatterns: list[URLPattern] = [
    path("traffic/new/", new_route, name="traffic-new"),
    path("traffic/<name:route>/split/", apply, name="traffic-split"),
    path("traffic/<name:route>/lower/", lower, name="traffic-lower"),
    path("traffic/<name:route>/restore/", restore, name="traffic-restore"),
    path("traffic/<name:route>/delete/", delete_route, name="traffic-delete"),
    path("traffic/<name:route>/govern/", govern, name="traffic-govern"),
]
