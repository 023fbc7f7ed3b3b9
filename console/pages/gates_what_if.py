"""What if: a stored run judged again under other objectives, beside what was decided. Nothing is stored."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from console.forms.gates import ObjectivesForm, objective_values
from console.pages.gates_words import row
from gates import thinning
from gates.compare import what_if as rejudge
from gates.judge import from_json, to_json
from gates.models import GateRun
from gates.records import judged_again, policy_of, read


@require_GET
def what_if(request: HttpRequest, run: int) -> HttpResponse:
    """The draft is in the address, so it can be shared."""
    found = get_object_or_404(GateRun.objects.select_related("policy"), pk=run)
    policy = policy_of(found)
    given = request.GET if "ttft_p95" in request.GET else None
    form = ObjectivesForm(given, initial=objective_values(policy.objectives))
    record, gone = read(found), thinning.gone_words(found)
    context: dict[str, Any] = {
        "run": found,
        "policy": policy,
        "form": form,
        "kept": bool(record.samples) and not gone,
        "gone": gone,
    }
    if context["kept"] and form.is_valid():
        draft = replace(policy, objectives=form.objectives())
        judged = from_json(found.judgement) if found.judgement else judged_again(found)
        context["draft"] = to_json(rejudge(judged, record.samples, policy, draft))
        context["pairs"] = pairs(found.judgement.get("findings", []), context["draft"]["findings"])
        context["same_objectives"] = draft.objectives == policy.objectives
    return render(request, "gates/what_if.html", context, status=422 if form.errors else 200)


def pairs(stored: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings of two judgements side by side, by phase, objective and scope; a side that lacks one is None."""
    keys = list(dict.fromkeys(key(finding) for finding in [*stored, *other]))
    left, right = ({key(finding): row(finding) for finding in side} for side in (stored, other))
    return [
        {
            "either": left.get(name) or right[name],
            "a": left.get(name),
            "b": right.get(name),
            "changed": (left.get(name) or {}).get("word") != (right.get(name) or {}).get("word"),
        }
        for name in keys
    ]


def key(finding: dict[str, Any]) -> tuple[str, str, str]:
    return finding["phase"], finding["objective"], finding["scope"]


urlpatterns: list[URLPattern] = [path("gates/<int:run>/what-if/", what_if, name="gate-what-if")]
