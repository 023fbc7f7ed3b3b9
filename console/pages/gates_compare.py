"""Two runs side by side: what differed in the asking, what differed in the answer, and both over time."""

import math
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from console.charts import gate as drawing
from console.pages.gates_data import points_of
from console.pages.gates_points import BUCKET_SECONDS, downsample
from console.pages.gates_words import FINDING_TONES, FINDING_WORDS, OBJECTIVES, in_words, tone, value, word
from gates import thinning
from gates.compare import Comparison, Row, Word
from gates.compare import compare as compare_runs
from gates.judge import from_json
from gates.models import GateRun
from gates.policy import Policy, to_json
from gates.records import policy_of, read

CHARTS = (
    ("ttft_p95", "Time to first token, P95", "s", "ttft_p95"),
    ("e2e_p95", "Whole answer, P95", "s", "e2e_p95"),
    ("served", "Served", "req/s", ""),
    ("in_flight", "In flight", "requests", ""),
)


@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    a, b = (chosen(request.GET.get(name, "")) for name in ("a", "b"))
    recent = GateRun.objects.select_related("policy").order_by("-pk")[:50]
    override = "anyway" in request.GET
    context: dict[str, Any] = {"a": a, "b": b, "recent": recent, "anyway": override}
    if a is not None and b is not None and a != b:
        context |= compared(a, b, override=override)
    return render(request, "gates/compare.html", context)


def chosen(text: str) -> GateRun | None:
    known = text.isdecimal() and len(text) < 18
    return GateRun.objects.select_related("policy").filter(pk=text).first() if known else None


def compared(a: GateRun, b: GateRun, *, override: bool) -> dict[str, Any]:
    policies = [flat(to_json(policy_of(run))) for run in (a, b)]
    subjects = [flat(run.fingerprint) for run in (a, b)]
    found = comparison(a, b, override=override)
    return {
        "sides": [(name, run, word(run.state), tone(run.state)) for name, run in (("A", a), ("B", b))],
        "unlike": found.differences if found else (),
        "policy_changes": differences(*policies),
        "subject_changes": differences(*subjects),
        "rows": [compared_row(row) for row in found.rows] if found else [],
        "judged": found is not None,
        "gone": [words for words in map(thinning.gone_words, (a, b)) if words],
        "charts": charts(a, b, policy_of(b)),
    }


def comparison(a: GateRun, b: GateRun, *, override: bool) -> Comparison | None:
    """None unless both have been judged."""
    if not (a.judgement and b.judgement):
        return None
    first, second = ((from_json(run.judgement), read(run).samples) for run in (a, b))
    return compare_runs(*first, *second, override=override)


def compared_row(row: Row) -> dict[str, Any]:
    def shown(amount: float | None) -> str:
        return value(row.objective, amount)

    def between(ends: tuple[float, float] | None) -> str:
        return f"{shown(_finite(ends[0]))} to {shown(_finite(ends[1]))}" if ends else "—"

    sign = "" if row.delta is None else "+" if row.delta > 0 else "−" if row.delta < 0 else "±"
    verdicts = (row.a_verdict, row.b_verdict)
    return {
        "phase": row.phase.upper(),
        "objective": f"{OBJECTIVES[row.objective]}{in_words(row.scope)}",
        "a": shown(row.a),
        "b": shown(row.b),
        "a_between": between(row.a_interval),
        "b_between": between(row.b_interval),
        "delta": "—" if row.delta is None else f"{sign}{shown(abs(row.delta))}",
        "word": row.word.value,
        "tone": {Word.WORSE: "warn", Word.BETTER: "ok"}.get(row.word, "idle"),
        "verdicts": [(FINDING_TONES.get(each, "warn"), FINDING_WORDS.get(each, word(each))) for each in verdicts],
    }


def _finite(amount: float) -> float | None:
    return None if math.isinf(amount) else amount


def flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values by dotted name, as text."""
    found: dict[str, str] = {}
    for name, entry in body.items():
        if isinstance(entry, Mapping):
            found |= flat(entry, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = "none" if entry is None else str(entry)
    return found


def differences(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    return [(name, a.get(name, "—"), b.get(name, "—")) for name in names]


def charts(a: GateRun, b: GateRun, policy: Policy) -> list[dict[str, Any]]:
    histories = [downsample(points_of(run)[0], BUCKET_SECONDS) for run in (a, b)]
    found = []
    for name, title, unit, objective in CHARTS:
        runs = [[(point["t"], point.get(name)) for point in points] for points in histories]
        limit = getattr(policy.objectives, objective) if objective else None
        found.append({"title": title, "unit": unit, "limit": limit, **drawing.overlay(runs, limit)})
    return found


urlpatterns: list[URLPattern] = [path("gates/compare/", compare, name="gate-compare")]
