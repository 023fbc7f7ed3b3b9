"""Failover gates: start one, watch it, read what clients saw under each fault."""

from functools import partial
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.failover import FailoverForm
from console.models import User
from console.pages.gates_acts import attempt
from console.pages.gates_words import tone, word
from console.permissions import Capability, may, requires
from engines.models import Engine
from gates.failover import actions
from gates.failover.scenarios import Plan, Scenario
from gates.models import FailoverRun
from gates.runs import State
from routing.models import Route
from routing.publish import members_from_json

SHOWN = 50
GOING = (State.QUEUED, State.RUNNING)


@require_http_methods(["GET", "POST"])
def failovers(request: HttpRequest) -> HttpResponse:
    """The history; operators start a run here as well."""
    form = FailoverForm(request.POST if request.method == "POST" else None, pairs=pairs())
    if request.method == "POST":
        return start(request, form)
    return render(request, "gates/failovers.html", context(request, form))


@requires(Capability.OPERATE)
def start(request: HttpRequest, form: FailoverForm) -> HttpResponse:
    if form.is_valid():
        given = form.cleaned_data
        route, engine, other = given["pair"].split("|")
        plan = Plan(scenarios=tuple(Scenario(name) for name in given["scenarios"]), fault=given["seconds"])
        try:
            actor = cast("User", request.user).actor
            run = actions.create(route, engine, other, plan, actor=actor, reason=given["reason"])
        except actions.InvalidPair as refused:
            form.add_error("pair", str(refused))
        else:
            return redirect("console:gate-failover", run.pk)
    return render(request, "gates/failovers.html", context(request, form), status=422)


@require_GET
def failover(request: HttpRequest, run: int) -> HttpResponse:
    return render(request, "gates/failover.html", one(get_object_or_404(FailoverRun, pk=run)))


@require_GET
def failover_part(request: HttpRequest, run: int) -> HttpResponse:
    return render(request, "gates/failover_detail.html", one(get_object_or_404(FailoverRun, pk=run)))


@require_GET
def failover_json(_request: HttpRequest, run: int) -> JsonResponse:
    found = get_object_or_404(FailoverRun, pk=run)
    answer = JsonResponse(found.body, json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="failover-{run}.json"'
    return answer


@require_POST
@requires(Capability.OPERATE)
def cancel(request: HttpRequest, run: int) -> HttpResponse:
    """Safe: it only takes load and fault away. No question is asked."""
    done = f"Failover run {run}: cancel asked for. The stand-in and its route are removed."
    act = partial(actions.request_cancel, get_object_or_404(FailoverRun, pk=run))
    return attempt(request, act, refused=actions.NotRunning, done=done, page="gate-failover", number=run)


def context(request: HttpRequest, form: FailoverForm) -> dict[str, Any]:
    found = FailoverRun.objects.defer("body").order_by("-pk")[:SHOWN]
    return {
        "form": form,
        "pairs": pairs() if may(request.user, Capability.OPERATE) else [],
        "lines": [(run, tone(run.state), word(run.state)) for run in found],
    }


def pairs() -> list[tuple[str, str]]:
    """Every two active engines that share a route, in both directions; the one with more weight first."""
    active = set(Engine.objects.filter(state=Engine.State.ACTIVE).values_list("name", flat=True))
    found = []
    for route in Route.objects.order_by("name"):
        members = [member for member in members_from_json(route.current().members) if member.engine in active]
        for member in sorted(members, key=lambda member: -member.weight):
            found += [
                (f"{route.name}|{member.engine}|{other.engine}", f"{member.engine} fails, {other.engine} takes over "
                 f"(route {route.name})")
                for other in members if other is not member
            ]  # fmt: skip
    return found


def one(run: FailoverRun) -> dict[str, Any]:
    findings = [
        {**row, "tone": tone(row["verdict"]), "word": word(row["verdict"]), "failures": sum(row["failed"].values())}
        for row in run.body.get("findings", [])
    ]
    going = run.state in GOING
    return {"run": run, "tone": tone(run.state), "word": word(run.state), "findings": findings, "going": going,
            "longest": actions.plan_of(run).longest, "scenarios": ", ".join(run.plan["scenarios"])}  # fmt: skip


urlpatterns: list[URLPattern] = [
    path("gates/failover/", failovers, name="gate-failovers"),
    path("gates/failover/<int:run>/", failover, name="gate-failover"),
    path("gates/failover/<int:run>/detail/", failover_part, name="gate-failover-detail"),
    path("gates/failover/<int:run>/report.json", failover_json, name="gate-failover-json"),
    path("gates/failover/<int:run>/cancel/", cancel, name="gate-failover-cancel"),
]
