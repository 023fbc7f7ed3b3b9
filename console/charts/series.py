"""Series for the browser: figures of windows in, plain dictionaries out. Pure; charts.js draws them.

One chart is {unit, limit, x, series: [{name, slot, y}], marks: [{at, text, href}]}; None is a gap.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from routing.windows import Figures

Series = Mapping[tuple[str, int], Sequence[Figures]]


def ttft_p95(series: Series, *, limit: float, marks: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Seconds; no request in a window is a gap."""
    return _chart(series, Figures.ttft_p95, unit="s", limit=limit, marks=marks)


def finished_per_second(series: Series, *, marks: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    return _chart(series, _rate, unit="req/s", limit=None, marks=marks)


def _chart(
    series: Series,
    value: Callable[[Figures], float | None],
    *,
    unit: str,
    limit: float | None,
    marks: Iterable[Mapping[str, str]],
) -> dict[str, Any]:
    drawn = []
    for (name, slot), figures in sorted(series.items()):
        y = [_finite(value(window)) for window in figures]
        if any(point is not None for point in y):
            drawn.append({"name": name, "slot": slot, "y": y})
    times: Sequence[Figures] = next(iter(series.values()), ())
    return {
        "unit": unit,
        "limit": limit,
        "x": [_stamp(window.start) for window in times],
        "series": drawn,
        "marks": [dict(mark) for mark in marks],
    }


def _rate(window: Figures) -> float | None:
    return window.requests_per_second if window.total else None


def _finite(value: float | None) -> float | None:
    """JSON has no infinity; a quantile that falls among failures is a gap."""
    return None if value is None or math.isinf(value) else round(value, 4)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
