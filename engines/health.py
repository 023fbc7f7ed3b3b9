"""Is a replica fit for traffic? Named inputs in, a score with its reasons out. Pure: `now` is given.

Score = 1 − points lost. Each rule loses up to its weight on a straight line between a good and a bad value. Unknown
and stale inputs are left out and lower the confidence. Load alone (queue, cache) never takes a replica out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engines.client import EngineHealth, HealthInput

REACHABLE, GENERATION, MODEL, AWAKE = "reachable", "generation", "served_model", "awake"
TTFT, ERRORS, QUEUE, KV_USE, HEARTBEAT = "ttft_p95", "error_share", "waiting", "kv_use", "heartbeat"
GATES = (REACHABLE, GENERATION, MODEL, AWAKE)
"""At their bad value these take a replica out at once, whatever the rest says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Objectives and thresholds in seconds, ratios and requests."""

    ttft: float = 7.0
    error_share: float = 0.005
    queue: float = 8.0
    kv_use: float = 0.9
    heartbeat: float = 10.0
    out_below: float = 0.7
    back_at: float = 0.8
    back_after: int = 2
    cache_seconds: float = 5.0
    min_outcomes: int = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """No points are lost at `good`, all of `weight` at `bad`. `good` is the threshold that pages show."""

    name: str
    unit: str
    weight: float
    good: float
    bad: float
    advice: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the breakdown. `points_lost` None: not known or stale, so not counted."""

    name: str
    value: float | None
    unit: str
    threshold: float
    weight: float
    points_lost: float | None
    age_seconds: float | None
    stale: bool


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What the next score needs of this one. `entered`: it was in rotation at some time."""

    score: float
    in_rotation: bool
    streak: int
    entered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthScore:
    """`streak` counts good checks while out. `confidence` is the share of the rules' weight that was known."""

    score: float
    in_rotation: bool
    streak: int
    entered: bool
    confidence: float
    worst: str
    advice: str
    at: float
    rows: tuple[Row, ...]

    @property
    def state(self) -> ReplicaState:
        return ReplicaState(self.score, self.in_rotation, self.streak, self.entered)


def rules(limits: Limits) -> tuple[Rule, ...]:
    return (
        Rule(REACHABLE, "flag", 1.0, 1, 0, "Start the engine, or check its address and the network."),
        Rule(GENERATION, "flag", 1.0, 1, 0, "It answers, but cannot generate: read the engine's own log."),
        Rule(MODEL, "flag", 1.0, 1, 0, "It serves another model: correct its served model here or restart it."),
        Rule(AWAKE, "flag", 1.0, 1, 0, "It is asleep: wake it up."),
        Rule(HEARTBEAT, "seconds", 0.6, limits.heartbeat, 3 * limits.heartbeat,
             "Requests run, but no step was made: restart the engine if it stays so."),
        Rule(ERRORS, "ratio", 0.6, limits.error_share, max(0.1, 2 * limits.error_share),
             "Too many requests fail: read the failed decisions and the engine's log."),
        Rule(TTFT, "seconds", 0.5, limits.ttft, 2 * limits.ttft,
             "First tokens come late: lower its weight or its in-flight limit, or add a replica."),
        Rule(QUEUE, "requests", 0.15, limits.queue, 8 * limits.queue,
             "Requests wait inside the engine: lower its in-flight limit or add a replica."),
        Rule(KV_USE, "ratio", 0.15, limits.kv_use, 1.0,
             "Its cache is nearly full: lower its in-flight limit or give it more cache."),
    )  # fmt: skip


def score(inputs: Sequence[HealthInput], previous: ReplicaState | None, now: float, limits: Limits) -> HealthScore:
    """`now` is Unix seconds and only stamped. With nothing known at all the previous state stands."""
    found = {item.name: item for item in inputs}
    checked = rules(limits)
    rows = tuple(_row(rule, found.get(rule.name), limits) for rule in checked)
    known = [row for row in rows if row.points_lost is not None]
    value = round(max(0.0, 1.0 - sum(row.points_lost or 0.0 for row in known)), 4)
    if not known:
        value = previous.score if previous else 0.0
    state = _state(value, rows, previous, limits, nothing_known=not known)
    worst = max(known, key=lambda row: row.points_lost or 0.0, default=None)
    name = worst.name if worst and worst.points_lost else ""
    return HealthScore(
        score=value,
        in_rotation=state.in_rotation,
        streak=state.streak,
        entered=state.entered,
        confidence=round(sum(row.weight for row in known) / sum(rule.weight for rule in checked), 4),
        worst=name,
        advice=_advice(name, state, rows, checked, limits),
        at=now,
        rows=rows,
    )


def reachable_input(seen: EngineHealth, tokens_age: float | None, limits: Limits) -> HealthInput:
    """A probe that times out while tokens flow (the last one at most 5 s old) says nothing."""
    flowing = tokens_age is not None and tokens_age <= limits.cache_seconds
    value = 1.0 if seen.reachable else None if seen.timed_out and flowing else 0.0
    return HealthInput(REACHABLE, value, "flag", 0.0)


def passive_inputs(
    *, ttft_p95: float | None, error_share: float | None, count: int, age_seconds: float | None, limits: Limits
) -> tuple[HealthInput, ...]:
    """What real traffic showed. Below the minimum count nothing is known: one failure in one says little."""
    enough = count >= limits.min_outcomes
    return (
        HealthInput(TTFT, ttft_p95 if enough else None, "seconds", age_seconds),
        HealthInput(ERRORS, error_share if enough else None, "ratio", age_seconds),
    )


def to_json(result: HealthScore) -> dict[str, Any]:
    return asdict(result)


def from_json(body: Mapping[str, Any]) -> HealthScore:
    """Raises KeyError or TypeError for a body that to_json did not write."""
    return HealthScore(**{**body, "rows": tuple(Row(**row) for row in body["rows"])})


def _row(rule: Rule, item: HealthInput | None, limits: Limits) -> Row:
    value = item.value if item else None
    age = item.age_seconds if item else None
    stale = age is not None and age > 2 * limits.cache_seconds
    lost = None if value is None or stale else round(rule.weight * _badness(rule, value), 4)
    return Row(rule.name, value, rule.unit, rule.good, rule.weight, lost, age, stale)


def _badness(rule: Rule, value: float) -> float:
    if rule.bad == rule.good:
        return 1.0 if value > rule.good else 0.0
    return min(1.0, max(0.0, (value - rule.good) / (rule.bad - rule.good)))


def _state(
    value: float, rows: Sequence[Row], previous: ReplicaState | None, limits: Limits, *, nothing_known: bool
) -> ReplicaState:
    if nothing_known:
        return previous or ReplicaState(value, False, 0, False)
    lost = {row.name: row.points_lost for row in rows}
    shut = any(lost[name] for name in GATES)
    if previous and previous.in_rotation:
        stays = not shut and value >= limits.out_below and not _unproven(rows)
        return ReplicaState(value, stays, 0, True)
    good = not shut and not _unproven(rows) and value >= limits.back_at
    streak = previous.streak + 1 if previous and good else int(good)
    entered = previous is not None and previous.entered
    back = good and (not entered or streak >= limits.back_after)
    return ReplicaState(value, back, 0 if back else streak, entered or back)


def _unproven(rows: Sequence[Row]) -> bool:
    """No generation is known to have worked since the engine started."""
    return any(row.name == GENERATION and row.value is None for row in rows)


def _advice(worst: str, state: ReplicaState, rows: Sequence[Row], checked: Sequence[Rule], limits: Limits) -> str:
    if worst:
        return next(rule.advice for rule in checked if rule.name == worst)
    if not state.in_rotation and _unproven(rows):
        return "Waiting for its first generation since it started."
    if not state.in_rotation:
        return f"Good again; it comes back after {limits.back_after} good checks in a row."
    return ""
