"""Server-drawn pictures of studies: probes of a capacity search (rate against attainment), ratios of an A/B. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

TOP, FLOOR = 14.0, 126.0
WORST = 0.5  # attainments below are drawn at the floor: what matters lies between 90 and 100 %
TONES = {"pass": "ok", "fail": "fail", "unresolved": "hold"}


def probes(found: Sequence[Mapping[str, Any]], objective: float) -> dict[str, Any]:
    """Dots with their intervals, x in per cent on a log scale, y in pixels."""
    rates = sorted({probe["rate"] for probe in found})
    if not rates:
        return {}
    low, high = math.log(rates[0] / 1.2), math.log(rates[-1] * 1.2)

    def across(rate: float) -> float:
        return round(100 * (math.log(rate) - low) / (high - low), 2)

    return {
        "dots": [
            {
                "x": across(probe["rate"]),
                "y": _height(probe["attainment"]),
                "low": _height(probe["low"]),
                "high": _height(probe["high"]),
                "tone": TONES[probe["state"]],
                "words": f"{probe['rate']:.2f} per second: {probe['state']}",
            }
            for probe in found
            if probe["attainment"] is not None
        ],
        "limit": _height(objective),
        "ticks": [(across(rate), f"{rate:.3g}") for rate in _apart(rates, across)],
    }


def _apart(rates: Sequence[float], across: Any) -> list[float]:
    """Labels that do not touch."""
    kept: list[float] = []
    for rate in rates:
        if not kept or across(rate) - across(kept[-1]) >= 8:
            kept.append(rate)
    return kept


def _height(share: float) -> float:
    return round(FLOOR - (FLOOR - TOP) * max(0.0, (share - WORST) / (1 - WORST)), 1)
