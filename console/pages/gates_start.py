"""Starting a gate run: target, policy, what it will cost, and a plain warning where clients would feel it."""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods

from console.forms.gates import StartForm
from console.models import User
from console.pages.gates_estimate import Estimate, estimate
from console.permissions import Capability, requires
from engines.models import Engine
from gates import actions, journal
from gates.models import GatePolicy, GateRun
from gates.policy import from_json
from routing.actions import routes_naming
from routing.models import Route
from routing.publish import members_from_json
from routing.table import Role

BASELINES = 30


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the pre-flight box; `tone` is ok, warn or fail."""

    tone: str
    text: str


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def start(request: HttpRequest) -> HttpResponse:
    form = start_form(request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        kind, _, target = form.cleaned_data["target"].partition(":")
        run = actions.create_run(
            GatePolicy.objects.get(pk=form.cleaned_data["policy"]),
            kind,
            target,
            actor=cast("User", request.user).actor,
            note=form.cleaned_data["note"],
            baseline=GateRun.objects.filter(pk=form.cleaned_data["baseline"] or 0).first(),
        )
        messages.success(request, f"Gate run {run.pk} of {target} is queued.")
        return redirect("console:gate-run", run.pk)
    context = {"form": form, **preflight(form["target"].value(), form["policy"].value())}
    return render(request, "gates/start.html", context, status=422 if form.errors else 200)


@require_GET
@requires(Capability.OPERATE)
def estimate_part(request: HttpRequest) -> HttpResponse:
    """What was ticked stays ticked, also while the answer was under way: `hx-preserve` on the box sees to it."""
    context = preflight(request.GET.get("target"), request.GET.get("policy"))
    context["form"] = start_form(initial=request.GET.dict())
    return render(request, "gates/start.html#preflight", {"fragment": True, **context})


def start_form(data: Any = None, *, initial: dict[str, str] | None = None) -> StartForm:
    policies = actions.newest_versions()
    asked = dict(initial or {})
    if asked.get("policy", "").isdecimal() and int(asked["policy"]) not in {row.pk for row in policies}:
        policies += GatePolicy.objects.filter(pk=asked["policy"])
    finished = GateRun.objects.filter(state__in=("passed", "failed")).select_related("policy").order_by("-pk")
    targets = target_choices()
    return StartForm(
        data,
        targets=targets,
        policies=[(str(row.pk), str(row)) for row in policies],
        baselines=[(str(row.pk), f"run {row.pk}: {row.target}, {row.policy}") for row in finished[:BASELINES]],
        initial={"target": targets[0][0] if targets else "", "policy": _first(policies), **asked},
        carrying=frozenset(value for value, _ in targets if traffic_of(value)),
    )


def _first(policies: list[GatePolicy]) -> str:
    """The quick one where there is one: a first try costs minutes, not the better part of an hour."""
    found = next((row for row in policies if row.name == "quick"), policies[0] if policies else None)
    return str(found.pk) if found else ""


def target_choices() -> list[tuple[str, str]]:
    engines = Engine.objects.order_by("name").values_list("name", flat=True)
    routes = Route.objects.order_by("name").values_list("name", flat=True)
    return [
        *((f"engine:{name}", f"engine {name}") for name in engines),
        *((f"route:{name}", f"route {name}, through the gateway") for name in routes),
    ]


def preflight(target: str | None, policy: str | None) -> dict[str, Any]:
    row = GatePolicy.objects.filter(pk=policy).first() if policy and str(policy).isdecimal() else None
    if row is None or not target:
        return {"estimate": None, "checks": []}
    wanted = from_json(row.body)
    found: Estimate = estimate(wanted)
    checks = checks_of(target, cap=wanted.in_flight_cap)
    return {"estimate": found, "policy": wanted, "version": row, "checks": checks, "traffic": traffic_of(target)}


def checks_of(target: str, *, cap: int) -> list[Check]:
    kind, _, name = target.partition(":")
    checks = [_busy(kind, name)]
    if kind == GateRun.Target.ENGINE:
        engine = Engine.objects.with_replicas().filter(name=name).first()
        if engine is not None:
            checks += [_healthy(engine), _room(engine, cap)]
    for share in traffic_of(target):
        checks.append(Check("warn", f"It answers clients: {share}. They share the engine with this load."))
    return checks


def _busy(kind: str, name: str) -> Check:
    other = journal.blocker(GateRun(target_kind=kind, target=name))
    if other is None:
        return Check("ok", f"No other gate run loads {name}.")
    return Check("warn", journal.waiting_reason(other))


def _healthy(engine: Engine) -> Check:
    able = [replica for replica in engine.replicas.all() if replica.in_rotation]
    if able:
        return Check("ok", f"{engine.name} is healthy: {len(able)} of {engine.replicas.count()} in rotation.")
    return Check("fail", f"{engine.name} is not in rotation: preflight will end the run as errored.")


def _room(engine: Engine, cap: int) -> Check:
    most = engine.max_in_flight * max(1, engine.replicas.count())
    if cap <= most:
        return Check("ok", f"At most {cap} requests in flight; the engine takes {most}.")
    return Check("ok", f"Up to {cap} requests in flight may be sent; through the gateway the engine takes {most}.")


def traffic_of(target: str) -> list[str]:
    """Places where the target carries client traffic, in words; empty when it carries none."""
    kind, _, name = target.partition(":")
    if kind == GateRun.Target.ENGINE:
        return [f"{member.weight} % of {route}" for route, member in routes_naming(name) if member.weight]
    route = Route.objects.filter(name=name).first()
    if route is None:
        return []
    members = members_from_json(route.current().members)
    shares = [f"{member.engine} {member.weight} %" for member in members if member.role is Role.SPLIT and member.weight]
    return [f"route {name} sends it to {', '.join(shares)}"] if shares else []


urlpatterns: list[URLPattern] = [
    path("gates/start/", start, name="gate-start"),
    path("gates/start/estimate/", estimate_part, name="gate-estimate"),
]
