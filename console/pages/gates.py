"""Gates: the history of runs, how each objective moved over the runs of one target and policy, and the policies."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from console.charts import gate as drawing
from console.pages import (
    gates_compare,
    gates_failover,
    gates_policy,
    gates_report,
    gates_run,
    gates_start,
    gates_studies,
    gates_what_if,
)
from console.pages.gates_words import OBJECTIVES, in_words, limit, tone, value, word
from engines.models import Engine
from gates import actions
from gates.models import GateRun
from gates.policy import from_json
from gates.runs import State
from gates.verdict import ObjectiveName

PAGE = 50
TREND_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the reader asked for. `before` is a run's number: only older ones are shown."""

    target: str = ""
    policy: str = ""
    state: str = ""
    before: int | None = None

    def rows(self) -> QuerySet[GateRun]:
        found = GateRun.objects.select_related("policy").order_by("-pk")
        for name, asked in (("target", self.target), ("policy__name", self.policy), ("state", self.state)):
            found = found.filter(**{name: asked}) if asked else found
        return found if self.before is None else found.filter(pk__lt=self.before)

    def address(self, **changed: Any) -> str:
        asked = {"target": self.target, "policy": self.policy, "state": self.state, **changed}
        return "?" + urlencode({name: given for name, given in asked.items() if given})


def query(given: QueryDict) -> Query:
    before = given.get("before", "")
    return Query(
        target=given.get("target", "")[:63],
        policy=given.get("policy", "")[:63],
        state=given.get("state", "") if given.get("state", "") in list(State) else "",
        before=int(before) if before.isdecimal() and len(before) < 18 else None,
    )


@require_GET
def gates(request: HttpRequest) -> HttpResponse:
    return render(request, "gates/page.html", context(query(request.GET)))


@require_GET
def runs_part(request: HttpRequest) -> HttpResponse:
    return render(request, "gates/runs.html", context(query(request.GET)))


def context(asked: Query) -> dict[str, Any]:
    found = list(asked.rows()[: PAGE + 1])
    policies = actions.newest_versions()
    return {
        "asked": asked,
        "lines": [line(run) for run in found[:PAGE]],
        "older": asked.address(before=found[PAGE - 1].pk) if len(found) > PAGE else "",
        "any_runs": bool(found) or GateRun.objects.exists(),
        "targets": GateRun.objects.order_by("target").values_list("target", flat=True).distinct(),
        "states": [(state.value, word(state)) for state in State],
        "policies": [(row, drawing.load_shape(from_json(row.body)), from_json(row.body)) for row in policies],
        "trends": trends(asked) if asked.target and asked.policy else [],
        "engines": Engine.objects.exists(),
    }


def line(run: GateRun) -> dict[str, Any]:
    """A row of the history: the finding that decided it, in one value."""
    ended = run.finished_at or run.state_since
    return {
        "run": run,
        "word": word(run.state),
        "tone": tone(run.state),
        "took": ended - run.started_at if run.started_at else None,
        "reason": run.judgement.get("reason") or run.reason,
    }


def trends(asked: Query) -> list[dict[str, Any]]:
    """One row per objective and phase, over the judged runs of one target and policy, oldest first."""
    judged = asked.rows().filter(state__in=(State.PASSED, State.FAILED, State.INCONCLUSIVE))[:TREND_RUNS]
    series: dict[tuple[str, str, str], list[tuple[GateRun, dict[str, Any]]]] = {}
    for run in reversed(judged):
        for finding in run.judgement.get("findings", []):
            key = (finding["phase"], finding["objective"], finding["scope"])
            series.setdefault(key, []).append((run, finding))
    return [_trend(key, rows) for key, rows in series.items()]


def _trend(key: tuple[str, str, str], rows: list[tuple[GateRun, dict[str, Any]]]) -> dict[str, Any]:
    phase, objective, scope = key
    last = rows[-1][1]
    shown = [value(objective, finding["value"], n=finding["n"]) for _, finding in rows]
    return {
        "name": f"{phase.upper()} {OBJECTIVES[ObjectiveName(objective)]}" + in_words(scope),
        "drawing": drawing.trend([finding["value"] for _, finding in rows], last["limit"]),
        "first": shown[0],
        "last": shown[-1],
        "limit": limit(objective, last["limit"]),
        "runs": len(rows),
        "words": ", ".join(f"run {run.pk} {text}" for (run, _), text in zip(rows, shown, strict=True)),
    }


urlpatterns: list[URLPattern] = [
    path("gates/", gates, name="gates"),
    path("gates/runs/", runs_part, name="gate-runs"),
    *gates_start.urlpatterns,
    *gates_studies.urlpatterns,
    *gates_compare.urlpatterns,
    *gates_failover.urlpatterns,
    *gates_policy.urlpatterns,
    *gates_report.urlpatterns,
    *gates_what_if.urlpatterns,
    *gates_run.urlpatterns,
]
