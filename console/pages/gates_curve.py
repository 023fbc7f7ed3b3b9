"""The operating curves of a policy as the editor draws them, and what no run of it can show."""

from collections.abc import Sequence
from typing import Any

from console import numbers
from console.charts import gate as drawing
from gates import operating
from gates.operating import Curve
from gates.policy import Policy
from gates.verdict import ObjectiveName

DRAWN = (
    (ObjectiveName.ERROR_RATE, "Errors", "true share of failed requests"),
    (ObjectiveName.TTFT_P95, "Slow requests", "true share of requests over a latency limit"),
)


def curve_context(policy: Policy) -> dict[str, Any]:
    found = operating.curves(policy)
    figures = [
        _figure(title, axis, [curve for curve in found if curve.objective == objective])
        for objective, title, axis in DRAWN
    ]
    said = [sentence for curve in found for sentence in curve.sentences if curve.objective != ObjectiveName.E2E_P95]
    return {"figures": figures, "warnings": operating.warnings(policy), "sentences": list(dict.fromkeys(said))}


def _figure(title: str, axis: str, curves: Sequence[Curve]) -> dict[str, Any]:
    """All curves of a figure share one limit, so one axis."""
    most, share = curves[0].rates[-1], curves[0].share
    return {
        "title": title,
        "axis": axis,
        "lines": [_line(curve) for curve in curves],
        "limit": f"{share * 100:g} %",
        "limit_x": round(drawing.WIDTH * share / most, 1),
        "limit_share": round(100 * share / most, 1),
        "ticks": [(25 * step, numbers.percent(most * step / 4)) for step in range(5)],
    }


def _line(curve: Curve) -> dict[str, Any]:
    at_limit = min(range(len(curve.rates)), key=lambda at: abs(curve.rates[at] - curve.share))
    return {
        "name": curve.phase.upper(),
        "n": curve.n,
        "at_limit": curve.passes[at_limit],
        "path": drawing.curve(list(zip(curve.rates, curve.passes, strict=True))),
    }
