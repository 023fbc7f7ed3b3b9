"""A replica's health record taken apart for people: rows, their sum, and what would make it healthy. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console import numbers
from engines.health import GATES, Limits, Rule, rules
from engines.models import Replica

NAMES = {
    "reachable": "answers its probe",
    "generation": "generates",
    "served_model": "serves the model",
    "awake": "awake",
    "ttft_p95": "TTFT P95",
    "error_share": "error share",
    "waiting": "queue",
    "kv_use": "KV cache used",
    "heartbeat": "time since last step",
}
THRESHOLD_UNITS = {"seconds": "s", "ratio": "%"}
UNITS = {"flag": "", "seconds": "s", "ratio": "%", "requests": "requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakdownRow:
    """Texts ready to print; `lost` None where the input is not known, `age` in seconds."""

    name: str
    value: str
    unit: str
    thresholds: str
    weight: float
    lost: float | None
    age: float | None
    stale: bool

    @property
    def known(self) -> bool:
        return self.lost is not None

    @property
    def tone(self) -> str:
        if self.lost is None:
            return "idle"
        if not self.lost:
            return "ok"
        return "fail" if math.isclose(self.lost, self.weight) else "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    rows: Sequence[BreakdownRow]
    score: float | None
    lost: float
    missing: int
    confidence: float | None
    remedy: str
    error: str
    error_title: str
    version: str
    formula: str


def breakdown(replica: Replica, *, now: datetime, limits: Limits | None = None) -> Breakdown:
    """Ages count on from the probe to `now`."""
    limits = limits or Limits()
    health: Mapping[str, Any] = replica.health or {}
    stored: Sequence[Mapping[str, Any]] = health.get("rows") or ()
    waited = (now - replica.probed_at).total_seconds() if replica.probed_at else 0.0
    by_name = {rule.name: rule for rule in rules(limits)}
    rows = [_row(row, by_name.get(row["name"]), waited) for row in stored]
    error = str(health.get("error") or "")
    return Breakdown(
        rows=rows,
        score=replica.score,
        lost=sum(row.lost or 0.0 for row in rows),
        missing=sum(not row.known for row in rows),
        confidence=health.get("confidence"),
        remedy=remedy(stored, in_rotation=replica.in_rotation, advice=str(health.get("advice") or ""), limits=limits),
        error=error,
        error_title=error_title(str(health.get("error_kind") or ""), replica.url),
        version=str(health.get("version") or ""),
        formula=(
            "Each input loses nothing up to the first threshold, its whole weight past the second, a straight line "
            f"between. Under {limits.out_below:.2f} the replica leaves rotation; it is back at {limits.back_at:.2f} "
            f"held for {limits.back_after} checks."
        ),
    )


def remedy(rows: Sequence[Mapping[str, Any]], *, in_rotation: bool, advice: str, limits: Limits) -> str:
    """The fewest inputs that would have to be good for the score to be healthy, in a sentence with the advice."""
    losing = sorted((row for row in rows if row.get("points_lost")), key=lambda row: -row["points_lost"])
    score = 1.0 - sum(row["points_lost"] for row in losing)
    if not losing or (score >= limits.back_at and in_rotation):
        return advice if not in_rotation else ""
    needed = []
    for row in sorted(losing, key=lambda row: row["name"] not in GATES):
        if score >= limits.back_at and row["name"] not in GATES:
            break
        needed.append(row)
        score += row["points_lost"]
    conditions = " and ".join(_condition(row) for row in needed)
    return f"Would be healthy if {conditions}. {advice}".strip()


def error_title(kind: str, url: str) -> str:
    words = {
        "refused": "refused the connection",
        "reset": "closed the connection",
        "timeout": "did not answer in time",
        "unauthorized": "did not accept the key",
    }
    return f"{url} {words.get(kind, 'could not be probed')}."


def _condition(row: Mapping[str, Any]) -> str:
    name = NAMES.get(row["name"], row["name"])
    if row["unit"] == "flag":
        return f"it {name}" if name.endswith("s") or name.startswith(("answers", "serves")) else f"it is {name}"
    return f"{name} were ≤ {_number(row['threshold'], row['unit'])} {UNITS.get(row['unit'], row['unit'])}".strip()


def _row(row: Mapping[str, Any], rule: Rule | None, waited: float) -> BreakdownRow:
    unit = row["unit"]
    limit = _number(row["threshold"], unit)
    ends = f"{limit} · {_number(rule.bad, unit)}" if rule else limit
    thresholds = f"{ends} {THRESHOLD_UNITS.get(unit, '')}".strip()
    age = row.get("age_seconds")
    return BreakdownRow(
        name=NAMES.get(row["name"], row["name"]),
        value=_number(row.get("value"), unit),
        unit=("stale" if row.get("stale") else UNITS.get(unit, unit)),
        thresholds=thresholds,
        weight=row["weight"],
        lost=row.get("points_lost"),
        age=None if age is None else age + waited,
        stale=bool(row.get("stale")),
    )


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return numbers.NONE
    if unit == "flag":
        return "yes" if value else "no"
    if unit == "ratio":
        return f"{value * 100:.1f}"
    return f"{value:.2f}" if unit == "seconds" else numbers.number(value)
