"""Changes of an engine's state: drain, undrain, disable, enable, delete. Load, guard, act, answer."""

import logging
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST
from kombu.exceptions import OperationalError

import console.converters  # noqa: F401  registers <name:…>
from console.celery import app
from console.forms.engines import ReasonForm
from console.forms.traffic import ConfirmName
from console.models import User
from console.pages.traffic_effect import NOBODY, answered, in_force, without
from console.permissions import Capability, requires
from engines import contracts
from engines.actions import StaleEngine, set_state
from engines.actors import Actor
from engines.models import Engine
from routing import actions as routing_actions
from routing.actions import EngineInUse, routes_naming

logger = logging.getLogger(__name__)
State = Engine.State


def _actor(request: HttpRequest) -> Actor:
    return cast("User", request.user).actor


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def drain(request: HttpRequest, name: str) -> HttpResponse:
    engine = get_object_or_404(Engine, name=name)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _set(request, engine, State.DRAINING, form.cleaned_data["reason"])
    context = {"engine": engine, "form": form, "moves": shares_without(name)}
    return render(request, "engines/drain.html", context, status=422 if form.errors else 200)


@require_POST
@requires(Capability.OPERATE)
def undrain(request: HttpRequest, name: str) -> HttpResponse:
    engine = get_object_or_404(Engine, name=name)
    if engine.state != State.DRAINING:
        return _already(request, engine)
    return _set(request, engine, State.ACTIVE, "undrained")


@require_POST
@requires(Capability.OPERATE)
def enable(request: HttpRequest, name: str) -> HttpResponse:
    engine = get_object_or_404(Engine, name=name)
    if engine.state != State.DISABLED:
        return _already(request, engine)
    return _set(request, engine, State.ACTIVE, "enabled")


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def disable(request: HttpRequest, name: str) -> HttpResponse:
    """Blocked while a route gives the engine weight: the page offers Drain instead."""
    engine = get_object_or_404(Engine, name=name)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            routing_actions.disable_engine(engine, actor=_actor(request), reason=form.cleaned_data["reason"])
        except EngineInUse:
            form.add_error(None, f"{name} still has traffic. Nothing was changed.")
        except StaleEngine:
            return _moved(request, name)
        else:
            messages.success(request, f"{name} is disabled.")
            return redirect("console:engine", name)
    weighted = [(route, member) for route, member in routes_naming(name) if member.weight]
    context = {"engine": engine, "form": form, "weighted": weighted}
    return render(request, "engines/disable.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Blocked while a route names the engine."""
    engine = get_object_or_404(Engine, name=name)
    form = ConfirmName(request.POST or None, name=name)
    if request.method == "POST" and form.is_valid():
        try:
            routing_actions.remove_engine(engine, actor=_actor(request), reason=form.cleaned_data["reason"])
        except EngineInUse as used:
            form.add_error(None, f"Still named by {', '.join(used.routes)}. Nothing was deleted.")
        else:
            messages.success(request, f"{name} deleted.")
            return redirect("console:engines")
    context = {"engine": engine, "form": form, "naming": routes_naming(name)}
    return render(request, "engines/delete.html", context, status=422 if form.errors else 200)


@require_POST
@requires(Capability.OPERATE)
def contract(request: HttpRequest, name: str) -> HttpResponse:
    """The worker does it; the page shows the findings when they are there."""
    engine = get_object_or_404(Engine, name=name)
    run = contracts.ask(engine, by=_actor(request).name)
    try:
        app.send_task("engines.run_contract", [name])
    except (OperationalError, OSError) as failure:
        logger.warning("the contract of %s could not be queued: %s", name, type(failure).__name__)
        contracts.close(run, [], error="The task queue does not answer, so nothing was tested.")
    return redirect("console:engine", name)


def _set(request: HttpRequest, engine: Engine, state: Engine.State, reason: str) -> HttpResponse:
    try:
        set_state(engine, state, actor=_actor(request), reason=reason)
    except StaleEngine:
        return _moved(request, engine.name)
    messages.success(request, f"{engine.name} is {state.label.lower()}.")
    return redirect("console:engine", engine.name)


def _already(request: HttpRequest, engine: Engine) -> HttpResponse:
    """The button of a page that somebody else, or a second click, made out of date."""
    messages.info(request, f"{engine.name} is {engine.get_state_display().lower()}. Nothing was changed.")
    return redirect("console:engine", engine.name)


def _moved(request: HttpRequest, name: str) -> HttpResponse:
    messages.warning(request, f"Somebody else changed {name} meanwhile. Nothing of yours was applied.")
    return redirect("console:engine", name)


def shares_without(name: str) -> list[dict[str, Any]]:
    """Per route with weight on the engine: who answers now, and who would answer while it drains."""
    table, health = in_force()
    moves = []
    for route, member in routes_naming(name):
        if not member.weight:
            continue
        now = answered(table, health, route)
        then = answered(without(table, name), health, route)
        others = sorted((set(now) | set(then)) - {NOBODY})
        changes = [(other, now[other], then[other]) for other in others]
        moves.append({"route": route, "weight": member.weight, "changes": changes, "refused": then[NOBODY]})
    return moves


urlpatterns: list[URLPattern] = [
    path("engines/<name:name>/drain/", drain, name="engine-drain"),
    path("engines/<name:name>/undrain/", undrain, name="engine-undrain"),
    path("engines/<name:name>/enable/", enable, name="engine-enable"),
    path("engines/<name:name>/disable/", disable, name="engine-disable"),
    path("engines/<name:name>/contract/", contract, name="engine-contract"),
    path("engines/<name:name>/delete/", delete, name="engine-delete"),
]
