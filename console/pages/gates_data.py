"""Rows of a run that may still be running: its attempts, the generator's health, its points."""

from collections.abc import Iterable, Sequence
from typing import Any

from gates.judge import health_from_json
from gates.models import GatePhase, GatePoint, GateRun
from gates.records import policy_of
from gates.verdict import GeneratorHealth


def attempts(run: GateRun) -> list[GatePhase]:
    """The attempt that counts of each phase: the kept one, else the newest."""
    chosen: dict[str, GatePhase] = {}
    for row in run.phases.order_by("attempt"):
        if row.phase not in chosen or not chosen[row.phase].kept:
            chosen[row.phase] = row
    order = [phase.value for phase in policy_of(run).phases]
    return sorted(chosen.values(), key=lambda row: order.index(row.phase) if row.phase in order else len(order))


def health_of(phases: Iterable[GatePhase]) -> list[GeneratorHealth]:
    return [health_from_json(row.generator) for row in phases if row.generator]


def points_of(run: GateRun, after: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Bodies of the points behind `after`, each with its time, and the id to ask from next."""
    rows: Sequence[tuple[int, Any, dict[str, Any]]] = list(
        GatePoint.objects.filter(run=run, pk__gt=after).order_by("pk").values_list("pk", "at", "body")
    )
    bodies = [{**body, "at": at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"} for _, at, body in rows]
    return bodies, rows[-1][0] if rows else after
