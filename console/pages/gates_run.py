"""One gate run, live: its page, the parts that move, the points of its charts, abort and resume."""

from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from console.pages.gates_acts import attempt
from console.pages.gates_criteria import criteria
from console.pages.gates_data import points_of
from console.pages.gates_live import now_of
from console.pages.gates_points import drawn
from console.pages.gates_report import FORMS
from console.permissions import Capability, requires
from engines.models import Engine
from gates import actions, outputs, thinning
from gates.models import GateRun
from gates.records import policy_of
from gates.runs import OVER

SHOWN_EVENTS = 200


def load(run: int) -> GateRun:
    return get_object_or_404(GateRun.objects.select_related("policy", "baseline"), pk=run)


@require_GET
def run_page(request: HttpRequest, run: int) -> HttpResponse:
    found = load(run)
    return render(request, "gates/run.html", {**head_context(found), **detail_context(found), **log_context(found)})


@require_GET
def head_part(request: HttpRequest, run: int) -> HttpResponse:
    return render(request, "gates/head.html", head_context(load(run)))


@require_GET
def detail_part(request: HttpRequest, run: int) -> HttpResponse:
    return render(request, "gates/detail.html", detail_context(load(run)))


@require_GET
def log_part(request: HttpRequest, run: int) -> HttpResponse:
    return render(request, "gates/log.html", log_context(load(run)))


@require_GET
def points(request: HttpRequest, run: int) -> JsonResponse:
    """What is new behind `after`; from 0 the whole history, in buckets where it is long."""
    found = load(run)
    asked = request.GET.get("after", "")
    after = int(asked) if asked.isdecimal() and len(asked) < 18 else 0
    bodies, last = points_of(found, after)
    shown, seconds = drawn(bodies)
    now = now_of(found, policy_of(found), now=timezone.now())
    return JsonResponse({
        "points": shown, "seconds": seconds, "last": last, "active": now.active, "mark": now.mark,
        "fields": now.fields, "as_of": timezone.now().strftime("%H:%M:%S UTC"),
    })  # fmt: skip


@require_POST
@requires(Capability.OPERATE)
def abort(request: HttpRequest, run: int) -> HttpResponse:
    """Safe: it only takes load away. No question is asked."""
    done = f"Gate run {run}: abort asked for. Load stops within 2 s; samples are kept."
    act = partial(actions.request_cancel, load(run))
    return attempt(request, act, refused=actions.WrongState, done=done, page="gate-run", number=run)


@require_POST
@requires(Capability.OPERATE)
def resume(request: HttpRequest, run: int) -> HttpResponse:
    done = f"Gate run {run} is queued again. Finished phases are kept."
    act = partial(actions.resume, load(run))
    return attempt(request, act, refused=actions.WrongState, done=done, page="gate-run", number=run)


@require_POST
@requires(Capability.OPERATE)
def keep(request: HttpRequest, run: int) -> HttpResponse:
    """`on` empty: the samples are no longer kept. Nothing is deleted here."""
    on = bool(request.POST.get("on"))
    until = "for ever" if on else f"for {settings.GATE_SAMPLE_DAYS} days after its end"
    done = f"The samples of gate run {run} are kept {until}."
    act = partial(thinning.keep, load(run), on=on)
    return attempt(request, act, refused=thinning.Gone, done=done, page="gate-run", number=run)


def head_context(run: GateRun) -> dict[str, Any]:
    policy = policy_of(run)
    now = timezone.now()
    return {
        "run": run,
        "policy": policy,
        "now": now_of(run, policy, now=now),
        "gone": thinning.gone_words(run),
        "engine": Engine.objects.filter(name=run.target).first() if run.target_kind == GateRun.Target.ENGINE else None,
        "as_of": now,
    }


def detail_context(run: GateRun) -> dict[str, Any]:
    return {"run": run, "as_of": timezone.now(), "gone": thinning.gone_words(run), **criteria(run)}


def log_context(run: GateRun) -> dict[str, Any]:
    gone = thinning.gone_words(run)
    return {
        "run": run,
        "polling": run.state not in OVER,
        "phases": run.phases.order_by("started_at"),
        "events": run.events.order_by("-pk")[:SHOWN_EVENTS],
        "transitions": run.transitions.order_by("-pk")[:SHOWN_EVENTS],
        "report_forms": [form for form, (name, _) in FORMS.items() if name in outputs.LASTING or not gone],
        "gone": gone,
        "kept": thinning.why_kept(run),
        "may_keep": not thinning.is_evidence(run),
        "sample_days": settings.GATE_SAMPLE_DAYS,
    }


urlpatterns: list[URLPattern] = [
    path("gates/<int:run>/", run_page, name="gate-run"),
    path("gates/<int:run>/head/", head_part, name="gate-run-head"),
    path("gates/<int:run>/detail/", detail_part, name="gate-run-detail"),
    path("gates/<int:run>/log/", log_part, name="gate-run-log"),
    path("gates/<int:run>/points.json", points, name="gate-run-points"),
    path("gates/<int:run>/abort/", abort, name="gate-run-abort"),
    path("gates/<int:run>/resume/", resume, name="gate-run-resume"),
    path("gates/<int:run>/keep/", keep, name="gate-run-keep"),
]
