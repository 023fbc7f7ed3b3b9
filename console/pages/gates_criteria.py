"""The criteria table of a run: the stored judgement, or what would be judged if it ended now."""

from dataclasses import replace
from typing import Any

from django.core.cache import cache

from console.pages.gates_data import attempts, health_of
from console.pages.gates_words import row
from gates import windows
from gates.backlog import only_held_back
from gates.judge import end_from_json, judge, to_json
from gates.load.samples import Sample
from gates.models import GatePhase, GateRun
from gates.policy import OpenLoop, Phase, Policy
from gates.records import policy_of, samples_of
from gates.rules import NANOSECONDS
from gates.runs import OVER
from gates.verdict import GeneratorHealth, PhaseEnd
from gates.windows import WindowState

FRESH_SECONDS = 4
MANY = 5000  # so many samples take a third of a second to judge
FRESH_SECONDS_OF_MANY = 20
MARKS = {WindowState.MET: "met", WindowState.MISSED: "missed", WindowState.UNDETERMINED: "thin"}


def criteria(run: GateRun) -> dict[str, Any]:
    """Rows of the table, the windows strip and the generator's health."""
    policy, rows = policy_of(run), attempts(run)
    final = bool(run.judgement)
    seen = _seen(run, policy, rows) if final else _seen_lately(run, policy, rows)
    ended = {row.phase for row in rows if row.kept}
    return {
        "policy": policy,
        "criteria": [row(found, ended=final or found["phase"] in ended) for found in seen["findings"]],
        "final": final,
        "polling": run.state not in OVER,
        "marks": seen["marks"],
        "planned_windows": len(windows.strip((), policy)),
        "generator": [_fitness(health) for health in health_of(rows)],
    }


def _seen_lately(run: GateRun, policy: Policy, rows: list[GatePhase]) -> dict[str, Any]:
    """Judged at most each few seconds whoever looks: on a small machine it takes time from the load generator."""
    key = f"gate-so-far:{run.pk}:{run.fence}:{run.state_since.timestamp()}"
    seen: dict[str, Any] | None = cache.get(key)
    if seen is None:
        seen = _seen(run, policy, rows)
        cache.set(key, seen, FRESH_SECONDS if seen["sampled"] < MANY else FRESH_SECONDS_OF_MANY)
    return seen


def _seen(run: GateRun, policy: Policy, rows: list[GatePhase]) -> dict[str, Any]:
    samples = samples_of(rows)
    judged = run.judgement or so_far(policy, rows, samples, plan_digest=run.plan_digest)
    return {"findings": judged.get("findings", []), "marks": marks(samples, policy), "sampled": len(samples)}


def so_far(policy: Policy, rows: list[GatePhase], samples: list[Sample], *, plan_digest: str) -> dict[str, Any]:
    """Only phases that have samples are judged, a running one as if it had been planned to end at this moment."""
    begun = [row for row in rows if any(sample.phase == row.phase for sample in samples)]
    if not begun:
        return {}
    health = {found.phase: found for found in health_of(begun)}
    ends = [end_from_json(row.end) if row.end else _end(row, samples) for row in begun]
    judgement = judge(
        samples,
        _cut(policy, begun, samples),
        generator=[health.get(row.phase) or _unwatched(row.phase) for row in begun],
        phases=ends,
        plan_digest=plan_digest,
    )
    return to_json(judgement)


def _cut(policy: Policy, begun: list[GatePhase], samples: list[Sample]) -> Policy:
    """The policy with the phases that have begun; an open loop that runs is as long as it has been sending."""
    rows = {row.phase: row for row in begun}
    changed: dict[str, Any] = {}
    for phase in policy.phases:
        spec = getattr(policy, phase.value)
        if phase.value not in rows:
            changed[phase.value] = None
        elif isinstance(spec, OpenLoop) and not rows[phase.value].end:
            sent = max(sample.intended_ns for sample in samples if sample.phase == phase) / NANOSECONDS
            changed[phase.value] = replace(spec, seconds=min(spec.seconds, sent + 1 / spec.rate))
    return replace(policy, **changed)


def _unwatched(phase: str) -> GeneratorHealth:
    """The generator's health is written at the end of a phase; until then nothing speaks against it."""
    return GeneratorHealth(
        phase=phase, lag_p99=None, lag_max=None, loop_lag_p99=None, achieved_ratio=None, cpu_share=None, not_sent=0
    )


def _end(row: GatePhase, samples: list[Sample]) -> PhaseEnd:
    mine = [sample for sample in samples if sample.phase == row.phase and not sample.warmup]
    return PhaseEnd(
        phase=row.phase,
        attempt=row.attempt,
        complete=True,
        seconds=max((sample.end_ns or sample.intended_ns for sample in mine), default=0) / NANOSECONDS,
        planned=len({sample.index for sample in mine}),
        level_seconds=_levels(mine),
    )


def _levels(samples: list[Sample]) -> tuple[tuple[int, float], ...]:
    """How long each level has run, from its first send to its last answer."""
    found = []
    for level in sorted({sample.level for sample in samples if sample.level is not None}):
        mine = [sample for sample in samples if sample.level == level]
        ends = [sample.end_ns for sample in mine if sample.end_ns is not None]
        if ends:
            found.append((level, (max(ends) - min(sample.intended_ns for sample in mine)) / NANOSECONDS))
    return tuple(found)


def marks(samples: list[Sample], policy: Policy) -> list[str]:
    """One word per planned window of SOAK, oldest first; what has not been sent yet is todo."""
    mine = [sample for sample in samples if sample.phase == Phase.SOAK and not sample.warmup]
    if policy.soak is None or not mine:
        return []
    reached = max(windows.place(sample, policy) for sample in mine)
    strip = windows.strip(mine, policy)
    return [MARKS[window.state] if at <= reached else "todo" for at, window in enumerate(strip)]


def _fitness(health: GeneratorHealth) -> dict[str, Any]:
    tone, word = ("fail", "Unfit") if health.breaches else ("ok", "Fit")
    if health.breaches and only_held_back(health):
        tone, word = "warn", "Held back"
    return {"health": health, "tone": tone, "word": word}
