"""Studies: capacity searches and A/Bs of two engines: the list, one study as it grows, starting and cancelling."""

from functools import partial
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console import numbers
from console.charts import study as drawing
from console.forms.studies import AbForm, CapacityForm, StudyForm
from console.models import User
from console.pages.gates_acts import attempt
from console.pages.gates_start import traffic_of
from console.permissions import Capability, requires
from engines.models import Engine
from gates import actions, studies
from gates.capacity import ATTAINMENT
from gates.models import GateStudy
from gates.pairs import METRICS
from gates.study_states import OVER, State

SHOWN = 100
FORMS: dict[str, type[StudyForm]] = {GateStudy.Kind.CAPACITY: CapacityForm, GateStudy.Kind.AB: AbForm}
TONES = {
    State.QUEUED: "idle",
    State.CANCELLING: "hold",
    State.DONE: "ok",
    State.ERRORED: "warn",
    State.CANCELLED: "idle",
}
WORDS = {
    **dict.fromkeys(("pass", "better", "non-inferior", "holds"), "ok"),
    **dict.fromkeys(("fail", "worse", "broken"), "fail"),
    "not measured": "idle",
}


@require_GET
def study_list(request: HttpRequest) -> HttpResponse:
    found = GateStudy.objects.defer("body").order_by("-pk")[:SHOWN]
    lines = [(study, tone(study), study.state.capitalize()) for study in found]
    return render(request, "gates/studies.html", {"lines": lines, "engines": Engine.objects.count()})


@require_GET
def study_page(request: HttpRequest, study: int) -> HttpResponse:
    return render(request, "gates/study.html", context(get_object_or_404(GateStudy, pk=study)))


@require_GET
def study_part(request: HttpRequest, study: int) -> HttpResponse:
    return render(request, "gates/study_detail.html", context(get_object_or_404(GateStudy, pk=study)))


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def study_start(request: HttpRequest, kind: str) -> HttpResponse:
    form = start_form(kind, request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        study = studies.create(
            kind,
            form.cleaned_data["target"],
            actor=cast("User", request.user).actor,
            options=form.options(),
            baseline=form.cleaned_data.get("baseline", ""),
        )
        messages.success(request, f"Study {study.pk} of {study.target} is queued.")
        return redirect("console:gate-study", study.pk)
    shown = {"form": form, "kind": GateStudy.Kind(kind)}
    return render(request, "gates/study_start.html", shown, status=422 if form.errors else 200)


@require_POST
@requires(Capability.OPERATE)
def study_cancel(request: HttpRequest, study: int) -> HttpResponse:
    """Safe: it only takes load away. No question is asked."""
    done = f"Study {study}: cancel asked for. What was measured is kept."
    act = partial(studies.request_cancel, get_object_or_404(GateStudy, pk=study))
    return attempt(request, act, refused=actions.WrongState, done=done, page="gate-study", number=study)


def start_form(kind: str, data: Any = None, *, initial: dict[str, str] | None = None) -> StudyForm:
    """Raises Http404 for a kind that is none."""
    if kind not in FORMS:
        raise Http404(f"There is no study of the kind {kind}.")
    names = list(Engine.objects.order_by("name").values_list("name", flat=True))
    policies = [row for row in actions.newest_versions() if row.body["workload"]["source"] != "replay"]
    first = {"policy": "standard", **({"target": names[-1], "baseline": names[0]} if names else {})}
    return FORMS[kind](
        data,
        engines=[(name, name) for name in names],
        policies=[(row.name, str(row)) for row in policies],
        carrying=frozenset(name for name in names if traffic_of(f"engine:{name}")),
        initial={**first, **(initial or {})},
    )


def context(study: GateStudy) -> dict[str, Any]:
    body = study.body
    result, probes = body.get("result", {}), body.get("probes", [])
    return {
        "study": study,
        "tone": tone(study),
        "word": study.state.capitalize(),
        "polling": study.state not in OVER,
        "result": result,
        "options": [(name.replace("_", " "), value) for name, value in body.get("options", {}).items()],
        "probes": [(probe, WORDS.get(probe["state"], "hold")) for probe in sorted(probes, key=rate_of)],
        "figure": drawing.probes(probes, ATTAINMENT),
        "attainment": ATTAINMENT,
        "metrics": [metric(row) for row in result.get("metrics", [])],
        "ladder": [(row, WORDS.get(row["rung"], "hold")) for row in result.get("ladder", [])],
        "confirmation": body.get("confirmation"),
        "progress": body.get("progress"),
    }


def rate_of(probe: dict[str, Any]) -> float:
    return float(probe["rate"])


def metric(row: dict[str, Any]) -> dict[str, Any]:
    """One figure of an A/B: ratio, interval and noise floor as text."""
    return {**row, "name": METRICS[row["metric"]], "tone": WORDS.get(row["word"], "hold"),
            "value": between(row["ratio"]), "own": between(row["noise"])}  # fmt: skip


def between(ratio: dict[str, Any]) -> str:
    """“1.02 (0.98 to 1.06)”; an end that is not known is open."""
    if ratio["value"] is None:
        return numbers.NONE
    high = numbers.OVER if ratio["high"] is None else f"{ratio['high']:.3f}"
    return f"{ratio['value']:.3f} ({ratio['low']:.3f} to {high})"


def tone(study: GateStudy) -> str:
    return TONES.get(State(study.state), "run")


urlpatterns: list[URLPattern] = [
    path("gates/studies/", study_list, name="gate-studies"),
    path("gates/studies/new/<str:kind>/", study_start, name="gate-study-start"),
    path("gates/studies/<int:study>/", study_page, name="gate-study"),
    path("gates/studies/<int:study>/detail/", study_part, name="gate-study-detail"),
    path("gates/studies/<int:study>/cancel/", study_cancel, name="gate-study-cancel"),
]
