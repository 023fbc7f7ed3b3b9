"""Registering and editing an engine, with the live check list of its connection."""

import logging
from datetime import timedelta
from typing import cast

from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from kombu.exceptions import OperationalError

import console.converters  # noqa: F401  registers <name:…>
from console.celery import app
from console.forms.engines import ConnectionForm, EngineForm
from console.models import User
from console.permissions import Capability, requires
from engines import actions
from engines.actions import StaleEngine
from engines.models import Engine, EngineCheck

logger = logging.getLogger(__name__)

PICKED_UP_WITHIN = timedelta(seconds=10)
GIVEN_UP_AFTER = timedelta(seconds=90)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def register(request: HttpRequest) -> HttpResponse:
    form = EngineForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        spec = form.spec()
        try:
            actions.register_engine(
                spec,
                replicas=list(form.sealed().items()),
                actor=cast("User", request.user).actor,
                reason=form.cleaned_data["reason"],
            )
        except IntegrityError:
            form.add_error("name", f"There is an engine named {spec.name} already.")
        else:
            messages.success(request, f"{spec.name} saved, disabled and without traffic. Enable it when ready.")
            return redirect("console:engine", spec.name)
    return render(request, "engines/form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def edit(request: HttpRequest, name: str) -> HttpResponse:
    engine = get_object_or_404(Engine.objects.with_replicas(), name=name)
    form = EngineForm(request.POST or None, engine=engine)
    status = 200
    if request.method == "POST" and form.is_valid():
        engine.version = form.cleaned_data["version"] or 0
        try:
            actions.edit_engine(
                engine,
                form.spec(),
                replicas=form.sealed(),
                actor=cast("User", request.user).actor,
                reason=form.cleaned_data["reason"],
            )
        except StaleEngine:
            form.add_error(None, f"Somebody else changed {name} since you opened this form. Nothing was saved.")
            status = 409
        else:
            messages.success(request, f"{name} saved.")
            return redirect("console:engine", name)
    status = status if status != 200 or not form.errors else 422
    return render(request, "engines/form.html", {"form": form, "engine": engine}, status=status)


@require_POST
@requires(Capability.OPERATE)
def start_check(request: HttpRequest) -> HttpResponse:
    """One check per URL of the form; the message to the worker holds only the id."""
    engine = Engine.objects.with_replicas().filter(name=request.POST.get("engine", "")).first()
    form = ConnectionForm(request.POST, engine=engine)
    if not form.is_valid():
        return render(request, "engines/check_refused.html", {"form": form}, status=422)
    checks = []
    for url, sealed_key in form.sealed().items():
        check = actions.open_check(
            kind=form.cleaned_data["kind"],
            url=url,
            served_model=form.cleaned_data["served_model"],
            sealed_key=sealed_key,
        )
        _send(check)
        checks.append(check)
    return render(request, "engines/checks.html", {"checks": [_seen(check) for check in checks]})


@require_GET
@requires(Capability.OPERATE)
def check_rows(request: HttpRequest, number: int) -> HttpResponse:
    check = get_object_or_404(EngineCheck, pk=number)
    return render(request, "engines/check.html", {"check": _seen(check)})


def _send(check: EngineCheck) -> None:
    try:
        app.send_task("engines.run_check", [check.pk])
    except (OperationalError, OSError) as failure:
        logger.warning("check %s could not be queued: %s", check.pk, type(failure).__name__)
        row = {
            "name": "queue",
            "state": "fail",
            "detail": "The task queue does not answer, so nothing was tested. You can save without a test.",
        }
        actions.close_check(check, [row])


def _seen(check: EngineCheck) -> dict[str, object]:
    """The check for the template: `going` asks for another look in a second."""
    age = timezone.now() - check.started_at
    waiting = check.finished_at is None and not check.rows
    return {
        "number": check.pk,
        "url": check.url,
        "rows": check.rows,
        "finished": check.finished_at is not None,
        "going": check.finished_at is None and age < GIVEN_UP_AFTER,
        "not_picked_up": waiting and age > PICKED_UP_WITHIN,
        "given_up": check.finished_at is None and age >= GIVEN_UP_AFTER,
    }


urlpatterns: list[URLPattern] = [
    path("engines/register/", register, name="engine-register"),
    path("engines/checks/", start_check, name="engine-check"),
    path("engines/checks/<int:number>/", check_rows, name="engine-check-rows"),
    path("engines/<name:name>/edit/", edit, name="engine-edit"),
]
