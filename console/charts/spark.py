"""A sparkline as SVG paths on a 100 × 32 field. Pure."""

from collections.abc import Sequence
from typing import Any

WIDTH, TOP, BOTTOM = 100.0, 3.0, 29.0


def drawing(values: Sequence[float | None]) -> dict[str, Any]:
    """`line` and `area` path data (empty without two points in a row), and low, high, last of what there is."""
    known = [value for value in values if value is not None]
    if not known:
        return {"line": "", "area": "", "low": None, "high": None, "last": None}
    ceiling = max(known) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    runs = _runs([(i * step, _height(value, ceiling)) for i, value in enumerate(values)])
    return {
        "line": " ".join("M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in run) for run in runs),
        "area": " ".join(_area(run) for run in runs),
        "low": min(known),
        "high": max(known),
        "last": values[-1],
    }


def _height(value: float | None, ceiling: float) -> float | None:
    return None if value is None else BOTTOM - (BOTTOM - TOP) * value / ceiling


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Stretches without a gap; a single point becomes a short dash so that it can be seen."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])] for run in runs if run]


def _area(run: Sequence[tuple[float, float]]) -> str:
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
    return f"M{line} L{run[-1][0]:.1f},31 L{run[0][0]:.1f},31Z"
