"""Releases: the list, a new one, one as it walks, and what people may do to it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.releases import ReleaseForm, WaiveForm
from console.models import User
from console.pages import release_policies as release_policies_page
from console.pages import release_view, releases_what_if
from console.permissions import Capability, requires
from engines.actors import Actor
from engines.models import Engine
from gates import release_actions, release_policies
from gates.approvals import Refused
from gates.models import GateRun, Release
from gates.releases import TERMINAL, Cause, State
from routing.models import Route

SHOWN = 100
RUNS = 30
# What migrations between kinds of engines begin with: words, kind of the candidate, release policy (docs/migration.md).
TEMPLATES = (
    ("custom 100 % → custom 50 / vLLM 50 → vLLM 100 %", Engine.Kind.VLLM, "migrate"),
    ("big model → TensorRT-LLM", Engine.Kind.TRTLLM, "migrate"),
)


@require_GET
def release_list(request: HttpRequest) -> HttpResponse:
    found = Release.objects.select_related("policy").order_by("-pk")[:SHOWN]
    lines = [(row, release_view.tone(row), release_view.word(row)) for row in found]
    lines.sort(key=lambda line: line[0].state in TERMINAL)
    context = {"lines": lines, "policies": release_policies.newest_versions(), "engines": Engine.objects.count()}
    return render(request, "releases/page.html", context)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def new_release(request: HttpRequest) -> HttpResponse:
    form = release_form(request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            release = create(form.cleaned_data, actor=_actor(request))
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, f"Release {release.pk} of {release.candidate}: gate run {release.gate_run_id}.")
            return redirect("console:release", release.pk)
    shown = {"form": form, "policies": release_policies.newest_versions(), "templates": templates()}
    return render(request, "releases/new.html", shown, status=422 if form.errors else 200)


def templates() -> list[tuple[str, str, str]]:
    """Those for which there is a candidate: words, candidate, policy."""
    found = []
    for words, kind, policy in TEMPLATES:
        engine = Engine.objects.filter(kind=kind, state=Engine.State.ACTIVE).order_by("name").first()
        if engine is not None:
            found.append((words, engine.name, policy))
    return found


def create(cleaned: dict[str, Any], *, actor: Actor) -> Release:
    """Raises Refused."""
    policy = release_policies.newest(cleaned["policy"])
    if policy is None:
        raise Refused(f"No release policy is named {cleaned['policy']}.")
    evidence = cleaned.get("evidence")
    run = GateRun.objects.select_related("policy").get(pk=evidence) if evidence else None
    return release_actions.create_release(
        cleaned["route"], cleaned["candidate"], policy, actor=actor, note=cleaned["note"], gate_run=run
    )


def release_form(data: Any = None, *, initial: dict[str, str] | None = None) -> ReleaseForm:
    routes = list(Route.objects.order_by("name").values_list("name", flat=True))
    engines = list(Engine.objects.order_by("name").values_list("name", flat=True))
    passed = GateRun.objects.filter(state="passed", target_kind=GateRun.Target.ENGINE).select_related("policy")
    runs = [(str(run.pk), f"run {run.pk}: {run.target}, {run.policy}") for run in passed.order_by("-pk")[:RUNS]]
    policies = [(row.name, str(row)) for row in release_policies.newest_versions()]
    choices = {
        "route": [(name, name) for name in routes],
        "candidate": [(name, name) for name in engines],
        "policy": policies,
        "evidence": [("", "a new gate run"), *runs],
    }
    first = {"candidate": engines[-1] if engines else "", "policy": "standard"}
    return ReleaseForm(data, choices=choices, initial={**first, **(initial or {})})


@require_GET
def release_page(request: HttpRequest, release: int) -> HttpResponse:
    found = load(release)
    context = {**release_view.context(request, found, timezone.now()), "waive": WaiveForm()}
    return render(request, "releases/release.html", context)


@require_GET
def release_part(request: HttpRequest, release: int) -> HttpResponse:
    return render(request, "releases/detail.html", release_view.context(request, load(release), timezone.now()))


def load(number: int) -> Release:
    return get_object_or_404(Release.objects.select_related("policy", "gate_run__policy"), pk=number)


def _actor(request: HttpRequest) -> Actor:
    return cast("User", request.user).actor


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\x00", "").strip()[:500]


def act(capability: Capability, done: str) -> Callable[[Callable[..., Release]], Callable[..., HttpResponse]]:
    """A POST that does one thing to a release and leads back to its page, with what happened or why not."""

    def decorate(change: Callable[..., Release]) -> Callable[..., HttpResponse]:
        @require_POST
        @requires(capability)
        def view(request: HttpRequest, release: int) -> HttpResponse:
            try:
                changed = change(request, load(release))
            except Refused as refused:
                messages.error(request, str(refused))
            else:
                messages.success(request, f"Release {changed.pk}: {done}")
            return redirect("console:release", release)

        return view

    return decorate


@act(Capability.OPERATE, "rolling back; the canary's weight goes to 0.")
def roll_back(request: HttpRequest, release: Release) -> Release:
    """Safe at any time: no question is asked. Needs nothing but the database."""
    cause = Cause.REVERT if release.state == State.PROMOTED else Cause.ABORT
    return release_actions.abort(release, actor=_actor(request), reason=_reason(request), cause=cause)


@act(Capability.OPERATE, "paused. Its detectors go on.")
def pause(request: HttpRequest, release: Release) -> Release:
    return release_actions.pause(release, actor=_actor(request), reason=_reason(request))


@act(Capability.OPERATE, "resumed.")
def resume(request: HttpRequest, release: Release) -> Release:
    return release_actions.resume(release, actor=_actor(request), reason=_reason(request))


@act(Capability.OPERATE, "the gate runs again.")
def rerun(request: HttpRequest, release: Release) -> Release:
    return release_actions.rerun_gate(release, actor=_actor(request))


@act(Capability.APPROVE, "the gate is waived; approval is asked for.")
def waive(request: HttpRequest, release: Release) -> Release:
    form = WaiveForm(request.POST)
    if not form.is_valid():
        raise Refused(" ".join(str(error) for errors in form.errors.values() for error in errors))
    until = timezone.now() + timedelta(hours=form.cleaned_data["hours"])
    return release_actions.waive(release, actor=_actor(request), reason=form.cleaned_data["reason"], until=until)


@act(Capability.APPROVE, "rejected.")
def reject(request: HttpRequest, release: Release) -> Release:
    return release_actions.reject_held(release, actor=_actor(request), reason=_reason(request))


urlpatterns: list[URLPattern] = [
    *releases_what_if.urlpatterns,
    *release_policies_page.urlpatterns,
    path("releases/", release_list, name="releases"),
    path("releases/new/", new_release, name="release-new"),
    path("releases/<int:release>/", release_page, name="release"),
    path("releases/<int:release>/detail/", release_part, name="release-detail"),
    path("releases/<int:release>/roll-back/", roll_back, name="release-roll-back"),
    path("releases/<int:release>/pause/", pause, name="release-pause"),
    path("releases/<int:release>/resume/", resume, name="release-resume"),
    path("releases/<int:release>/gate/", rerun, name="release-gate"),
    path("releases/<int:release>/waive/", waive, name="release-waive"),
    path("releases/<int:release>/reject/", reject, name="release-reject"),
]
