"""Server-drawn pictures of gates: the load shape of a policy, trends, an overlay of two runs, a curve. Pure.

Heights and widths are on fields of fixed size; templates put the text, in percent, around them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from console import numbers
from gates.policy import OpenLoop, Policy, Step

WIDTH = 1000.0
TOP, FLOOR = 34.0, 112.0
LEAST_SHARE = 0.16  # a phase of seconds beside one of half an hour must still be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A level or an open-loop phase: x and width in per cent, y and height in pixels."""

    x: float
    width: float
    y: float
    height: float
    label: str
    middle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseShape:
    name: str
    x: float
    width: float
    unit: str
    seconds: str
    blocks: tuple[Block, ...]

    @property
    def end(self) -> float:
        return self.x + self.width


def load_shape(policy: Policy) -> list[PhaseShape]:
    """Phases side by side. STEP is concurrency, SPIKE and SOAK requests per second: two scales, both labelled."""
    lengths = _lengths(policy)
    shares = _shares([seconds for _, seconds in lengths])
    highest = max((spec.rate for spec in (policy.spike, policy.soak) if spec is not None), default=1.0)
    shapes, x = [], 0.0
    for (phase, seconds), share in zip(lengths, shares, strict=True):
        spec = getattr(policy, phase)
        width = 100 * share - 1.5
        blocks = _stairs(spec, x, width) if isinstance(spec, Step) else (_plateau(spec, x, width, highest),)
        unit = "in flight" if isinstance(spec, Step) else "req/s"
        words = f"{'≥ ' if isinstance(spec, Step) else ''}{numbers.duration(seconds)}"
        shapes.append(PhaseShape(name=phase.upper(), x=x, width=width, unit=unit, seconds=words, blocks=blocks))
        x += 100 * share
    return shapes


def _lengths(policy: Policy) -> list[tuple[str, float]]:
    found = []
    for phase in policy.phases:
        spec = getattr(policy, phase.value)
        seconds = len(spec.levels) * spec.level_seconds if isinstance(spec, Step) else spec.seconds
        found.append((phase.value, seconds))
    return found


def _shares(seconds: Sequence[float]) -> list[float]:
    """Proportional, but nobody gets less than the least share."""
    total = sum(seconds) or 1.0
    raised = [max(LEAST_SHARE, length / total) for length in seconds]
    return [share / sum(raised) for share in raised]


def _stairs(step: Step, x: float, width: float) -> tuple[Block, ...]:
    each = width / len(step.levels)
    return tuple(_block(x + i * each, each, level / step.levels[-1], str(level)) for i, level in enumerate(step.levels))


def _plateau(spec: OpenLoop, x: float, width: float, highest: float) -> Block:
    return _block(x, width, spec.rate / highest, f"{spec.rate:g}/s")


def _block(x: float, width: float, share: float, label: str) -> Block:
    height = max(3.0, (FLOOR - TOP) * share)
    return Block(x=x, width=width, y=FLOOR - height, height=height, label=label, middle=x + width / 2)


def trend(values: Sequence[float | None], limit: float) -> dict[str, Any]:
    """A line through runs, oldest first, on 100 × 32, with the limit; None (infinite or no data) leaves a gap."""
    known = [value for value in values if value is not None]
    if not known:
        return {"line": "", "dots": [], "limit": None}
    ceiling = max(*known, limit) * 1.1 or 1.0
    step = 100 / max(len(values) - 1, 1)
    points = [(i * step, 31 - 29 * value / ceiling) for i, value in enumerate(values) if value is not None]
    if len(points) == 1:
        points = [(0.0, points[0][1]), (100.0, points[0][1])]
    return {
        "line": "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        "limit": round(31 - 29 * limit / ceiling, 1),
    }


def curve(points: Sequence[tuple[float, float]]) -> str:
    """(x, share) with x on 0 to its largest, as a path on 1000 × 140 with 100 % at y = 14 and 0 at y = 126."""
    most = max((x for x, _ in points), default=0.0) or 1.0
    return "M" + " ".join(f"{WIDTH * x / most:.1f},{126 - 112 * y:.1f}" for x, y in points) if points else ""


def overlay(runs: Sequence[Sequence[tuple[float, float | None]]], limit: float | None) -> dict[str, Any]:
    """Lines of (t, value) on 1000 × 160 over one time and one value axis. Empty `paths` when nothing was measured."""
    known = [(t, y) for run in runs for t, y in run if y is not None]
    if not known:
        return {"paths": []}
    longest = max(t for t, _ in known) or 1.0
    highest = max(y for _, y in known)
    ceiling = (max(highest, limit) if limit is not None and highest > 0.15 * limit else highest) * 1.1 or 1.0
    return {
        "paths": [_path(run, longest, ceiling) for run in runs],
        "limit_y": round(140 - 126 * limit / ceiling, 1) if limit is not None and limit <= ceiling else None,
        "ceiling": ceiling,
        "half": ceiling / 2,
        "longest": longest,
    }


def _path(run: Sequence[tuple[float, float | None]], longest: float, ceiling: float) -> str:
    pieces, gap = [], True
    for t, y in run:
        if y is not None:
            pieces.append(f"{'M' if gap else 'L'}{WIDTH * t / longest:.1f},{140 - 126 * y / ceiling:.1f}")
        gap = y is None
    return " ".join(pieces)
