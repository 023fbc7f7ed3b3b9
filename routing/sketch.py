"""A mergeable sketch of durations: log-spaced cells, 1 % relative error, JSON in and out. Pure.

The scheme is that of DDSketch (Masson, Rim, Lee 2019): cell i holds values in (g^(i-1), g^i], g = 1.01 / 0.99.
"""

import math
from collections.abc import Iterable, Mapping

GAMMA = 1.01 / 0.99
LOG_GAMMA = math.log(GAMMA)
SMALLEST_SECONDS = 1e-5

Sketch = Mapping[str, int]


def add(sketch: dict[str, int], seconds: float) -> None:
    cell = str(math.ceil(math.log(max(seconds, SMALLEST_SECONDS)) / LOG_GAMMA))
    sketch[cell] = sketch.get(cell, 0) + 1


def merge(sketches: Iterable[Sketch]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for sketch in sketches:
        for cell, count in sketch.items():
            merged[cell] = merged.get(cell, 0) + count
    return merged


def count(sketch: Sketch) -> int:
    return sum(sketch.values())


def quantile(sketch: Sketch, share: float, *, failures: int = 0) -> float | None:
    """Nearest-rank quantile in seconds; None without data, inf where it falls among the `failures`."""
    total = count(sketch) + failures
    if total == 0:
        return None
    rank = max(1, math.ceil(share * total))
    seen = 0
    for cell in sorted(sketch, key=int):
        seen += sketch[cell]
        if seen >= rank:
            return 2 * GAMMA ** int(cell) / (GAMMA + 1)
    return math.inf
