"""Charts of a report as inline SVG without style attributes: lines, points over a limit, the strip of windows."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

WIDTH, HEIGHT = 560, 180
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 16, 24


class Frame:
    """Maps seconds and values to the drawing area; zero is always at the base."""

    def __init__(self, seconds: float, top: float) -> None:
        self.seconds, self.top = max(seconds, 1e-9), _round_up(top)

    def x(self, at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(at / self.seconds, 1), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value / self.top, 1), 1)

    def axes(self) -> str:
        lines = []
        for part in range(5):
            value, at = self.top * part / 4, self.seconds * part / 4
            y, x = self.y(value), self.x(at)
            kind, anchor = "rule" if part else "base", "end" if part == 4 else "middle" if part else "start"
            lines.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            lines.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>')
            lines.append(f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="{anchor}">{round(at, 1):g} s</text>')
        return "".join(lines)

    def limit(self, value: float, words: str) -> str:
        y = self.y(value)
        line = f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        place = f'x="{WIDTH - RIGHT - 4}" y="{y - 4}" text-anchor="end"'
        return f'{line}<text class="limit-text" {place}>{escape(words)}</text>'


def rates(chart: Mapping[str, Any], needed: float | None) -> str:
    """Offered dashed, served solid."""
    rows = chart["rates"]
    frame = Frame(chart["seconds"], max([needed or 0, *(max(row[1], row[2]) for row in rows)], default=1))
    body = frame.axes() + _line(frame, [(row[0], row[1]) for row in rows], "line faint")
    body += _line(frame, [(row[0], row[2]) for row in rows], "line")
    body += frame.limit(needed, f"needs {needed:g}/s") if needed else ""
    return _svg(body, f"{chart['phase'].upper()}: requests offered and answered per second, by arrival")


def in_flight(chart: Mapping[str, Any]) -> str:
    frame = Frame(chart["seconds"], max([row[1] for row in chart["in_flight"]], default=1))
    body = frame.axes() + _line(frame, chart["in_flight"], "line second")
    return _svg(body, f"{chart['phase'].upper()}: requests in flight")


def scatter(chart: Mapping[str, Any], place: int, limit: float, words: str) -> str:
    """One point per request at its intended send; failures, which have no time, as crosses on the upper edge."""
    points = [(row[0], row[place]) for row in chart["points"] if row[place] is not None and row[3] == "ok"]
    frame = Frame(chart["seconds"], max([limit * 1.1, *(value for _, value in points)]))
    within = "".join(f"M{frame.x(at)} {frame.y(value)}h0" for at, value in points if value <= limit)
    over = "".join(f"M{frame.x(at)} {frame.y(value)}h0" for at, value in points if value > limit)
    crosses = "".join(f"M{frame.x(at) - 3} {TOP - 9}l6 6m0-6l-6 6" for at in chart["failures"])
    body = frame.axes() + frame.limit(limit, f"limit {limit:g} s")
    body += f'<path class="dots" d="{within}"/>' if within else ""
    body += f'<path class="dots over" d="{over}"/>' if over else ""
    body += f'<path class="cross" d="{crosses}"/>' if crosses else ""
    slow = sum(value > limit for _, value in points)
    label = f"{chart['phase'].upper()}: {words} of {len(points)} answers, {slow} over the limit of {limit:g} s"
    return _svg(body, f"{label}, {len(chart['failures'])} failed")


def cumulative(chart: Mapping[str, Any], place: int, limit: float, words: str) -> str:
    """Share of requests answered within a time; failures never are, so that the curve ends below 1 with any."""
    values = sorted(row[place] for row in chart["points"] if row[place] is not None and row[3] == "ok")
    n = max(len(chart["points"]), 1)
    frame = Frame(max([limit * 1.1, *values]), 1.0)
    kept = [at for at in range(len(values)) if at % max(1, len(values) // 200) == 0 or at == len(values) - 1]
    body = frame.axes() + _line(frame, [(0.0, 0.0), *((values[at], (at + 1) / n) for at in kept)], "line")
    x, y = frame.x(limit), frame.y(0.95)
    body += f'<line class="limit" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    body += f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
    body += (
        f'<text class="limit-text" x="{x - 4}" y="{HEIGHT - BOTTOM - 6}" text-anchor="end">95 % by {limit:g} s</text>'
    )
    within = sum(value <= limit for value in values) / n
    return _svg(body, f"{chart['phase'].upper()}: {within:.1%} of requests within {limit:g} s of {words}")


def strip(windows: Sequence[Mapping[str, Any]]) -> str:
    """Missed windows are taller, so that the state does not rest on colour."""
    each = WIDTH / max(len(windows), 1)
    body = "".join(_window(at, window, each) for at, window in enumerate(windows))
    met = sum(window["state"] == "met" for window in windows)
    return _svg(body, f"{met} of {len(windows)} windows met", height=32)


def budget(chart: Mapping[str, Any], allowed: int) -> str:
    """Failures left before the phase fails."""
    left = [(0.0, allowed), *((at, allowed - used) for used, at in enumerate(chart["failures"], 1))]
    steps = [point for before, now in pairwise(left) for point in ((now[0], before[1]), now)]
    path = [left[0], *steps, (chart["seconds"], left[-1][1])]
    frame = Frame(chart["seconds"], max(allowed, 1))
    body = frame.axes() + _line(frame, [(at, max(value, 0)) for at, value in path], "line")
    return _svg(body, f"{chart['phase'].upper()}: failures left of {allowed} allowed")


def _window(at: int, window: Mapping[str, Any], each: float) -> str:
    y, height = (2, 28) if window["state"] == "missed" else (8, 16)
    words = f"{window['start']:g} s: {window['state']}, n = {window['n']}"
    return (
        f'<rect class="{window["state"]}" x="{at * each + 1:.1f}" y="{y}" width="{max(each - 2, 1):.1f}" '
        f'height="{height}" rx="1"><title>{escape(words)}</title></rect>'
    )


def _line(frame: Frame, points: Sequence[Sequence[float]], kind: str) -> str:
    path = " ".join(f"{frame.x(point[0])},{frame.y(point[1])}" for point in points)
    return f'<polyline class="{kind}" points="{path}"/>'


def _svg(body: str, label: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'


def _round_up(value: float) -> float:
    """The next 1, 2, 4 or 8 times a power of ten, so that quarters have short labels."""
    step = 1e-3
    while step < value:
        for factor in (1, 2, 4, 8):
            if step * factor >= value:
                return step * factor
        step *= 10
    return step
