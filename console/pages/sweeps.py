"""One tuning sweep: its points as a table and a chart, the best that keeps the objectives marked."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET

from engines.models import TuningSweep
from gates import sweep
from gates.sweep import Options, Point
from gates.sweeps import points_of

SILENT = timedelta(minutes=10)  # a point takes a few minutes at most: start, warm-up and load
TONES = {"running": "run", "done": "ok", "failed": "fail", "stopped": "idle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One point as the table shows it."""

    name: str
    point: Point
    best: bool
    missed: tuple[str, ...]

    @property
    def tone(self) -> str:
        return "idle" if self.point.words else "warn" if self.missed else "ok"


@require_GET
def sweep_page(request: HttpRequest, number: int) -> HttpResponse:
    row = get_object_or_404(TuningSweep.objects.select_related("profile"), pk=number)
    part = request.headers.get("HX-Target") == "sweep"
    return render(request, "profiles/sweep_body.html" if part else "profiles/sweep.html", context(row))


def context(row: TuningSweep) -> dict[str, Any]:
    options = sweep.options_from_json(row.options)
    found = lines(points_of(row), options)
    silent = row.state == TuningSweep.State.RUNNING and timezone.now() - row.touched_at > SILENT
    return {
        "sweep": row,
        "options": options,
        "lines": found,
        "total": expected(options),
        "tone": "warn" if silent else TONES[row.state],
        "word": "No word for ten minutes" if silent else row.get_state_display(),
        "going": row.state == TuningSweep.State.RUNNING and not silent,
        "command": command(row, options),
        "data": data(found, options),
    }


def lines(points: list[Point], options: Options) -> list[Line]:
    place = sweep.best(points, options.objectives)
    names = [name for name, _ in options.grid]
    return [
        Line(
            name=sweep.described(point.settings, names),
            point=point,
            best=i == place,
            missed=() if point.words else tuple(sweep.misses(point, options.objectives)),
        )
        for i, point in enumerate(points)
    ]


def data(found: list[Line], options: Options) -> dict[str, Any]:
    """What the chart draws."""
    limits = {"ttft_p95": options.objectives.ttft_p95, "e2e_p95": options.objectives.e2e_p95}
    points = [
        {
            "name": line.name, "best": line.best, "kept": not line.missed, "tokens": line.point.tokens,
            "ttft_p95": line.point.ttft_p95, "e2e_p95": line.point.e2e_p95,
        }
        for line in found
    ]  # fmt: skip
    return {"points": points, "limits": limits}


def expected(options: Options) -> int:
    count = 1
    for _, values in options.grid:
        count *= len(values)
    return count


def command(row: TuningSweep, options: Options) -> str:
    """What measures the same again."""
    grid = " ".join(f"--grid {name}={','.join(_shown(value) for value in values)}" for name, values in options.grid)
    work = options.workload
    lengths = f"--workload {work.source} --input-tokens {work.input_tokens} --output-tokens {work.output_tokens}"
    load = f"--concurrency {options.concurrency} --seconds {options.seconds:g} --requests {options.requests}"
    limits = f"--ttft-p95 {options.objectives.ttft_p95:g} --e2e-p95 {options.objectives.e2e_p95:g}"
    prefix = "" if work.salted else " --shared-prefix"
    return f"manage.py sweep {row.profile.name} {grid} {lengths}{prefix} {load} {limits} --seed {options.seed}"


def _shown(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


urlpatterns: list[URLPattern] = [path("engines/sweeps/<int:number>/", sweep_page, name="sweep")]
