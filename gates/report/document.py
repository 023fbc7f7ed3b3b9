"""The report of a run as one JSON document, in the order in which it is read. The other forms are drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import Any

from gates import policy as policies
from gates import wording
from gates.compare import Comparison
from gates.extent import Extent, Measured, ended, read
from gates.judge import RULES
from gates.load.samples import Sample
from gates.policy import Phase, Policy
from gates.report import figures
from gates.report.markup import flat
from gates.verdict import Finding, Judgement, ObjectiveName, Verdict
from gates.windows import strip

SCHEMA = "engine-console/gate-report/v1"
TIMES = (ObjectiveName.TTFT_P95, ObjectiveName.E2E_P95)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a judgement does not hold, as plain JSON values. Times are ISO 8601 in UTC; None or empty when unknown."""

    run: int | str
    target_kind: str
    target: str
    policy: Policy
    policy_number: int | None = None
    policy_author: str = ""
    policy_at: str | None = None
    actor: str = ""
    note: str = ""
    seed: int | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    baseline_fingerprint: Mapping[str, Any] | None = None
    server: Mapping[str, Any] = field(default_factory=dict)
    restarts: Sequence[str] = ()
    events: Sequence[Mapping[str, str]] = ()
    approvals: Sequence[Mapping[str, str]] = ()
    comparisons: Sequence[tuple[str, Comparison]] = ()
    capacity: Mapping[str, Any] | None = None
    reproduce: str = ""
    machine: str = ""
    key_id: str = ""
    # When the samples were deleted, in words; empty while they are there.
    samples_gone: str = ""


def build(facts: RunFacts, judgement: Judgement, samples: Sequence[Sample]) -> dict[str, Any]:
    """Plain JSON values; times in seconds; a value of null with n > 0 is infinite (or, if undecided, unknown)."""
    ends = {end.phase: end for end in judgement.phases}
    parts = [read(phase, facts.policy, samples, ends.get(phase.value)) for phase in facts.policy.phases]
    if facts.samples_gone:
        parts = [replace(part, extent=ended(ends.get(part.phase))[0]) for part in parts]
    return {
        "schema": SCHEMA,
        "complete": all(part.extent in (Extent.WHOLE, Extent.CURTAILED) for part in parts),
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "samples_gone": facts.samples_gone,
        "what_would_change": turning_point(judgement),
        "run": _run(facts),
        "candidate": _candidate(facts),
        "policy": _policy(facts, judgement),
        "plan_digest": judgement.plan_digest,
        "objectives": [objective(finding) for finding in judgement.findings],
        "generator": [asdict(health) for health in judgement.generator],
        "phases": [{**figures.of_phase(part), **_end(part, judgement)} for part in parts],
        "windows": _windows(parts, facts.policy),
        "charts": [figures.chart(part) for part in parts if part.counted],
        "workload": {"seed": facts.seed, **asdict(facts.policy.workload), "lines": len(facts.policy.workload.lines)},
        "server": dict(facts.server),
        "slowest": figures.slowest(parts),
        "comparisons": [{"with": name, **comparison(found)} for name, found in facts.comparisons],
        "capacity": None if facts.capacity is None else dict(facts.capacity),
        "approvals": [dict(entry) for entry in facts.approvals],
        "events": [dict(entry) for entry in facts.events],
        "restarts": list(facts.restarts),
        "reproduce": facts.reproduce,
        "digests": _digests(facts, judgement),
    }


def objective(finding: Finding) -> dict[str, Any]:
    body = {**asdict(finding), "objective": finding.objective.value, "verdict": finding.verdict.value}
    body["grade"] = finding.grade.value if finding.grade else None
    return {**body, "shown": shown(finding), "limit_shown": limit_shown(finding)}


def shown(finding: Finding) -> str:
    """The value in words. A percentile of a phase that was stopped is biased: only "> limit" is printed."""
    value, name = finding.value, finding.objective
    if value is None:
        if finding.verdict == Verdict.FAILED:
            return f"{'<' if name == ObjectiveName.QPS else '>'} {_unit(name, finding.limit)}"
        return "—"
    return _unit(name, value)


def limit_shown(finding: Finding) -> str:
    signs = {ObjectiveName.ERROR_RATE: "<", ObjectiveName.QPS: "≥", ObjectiveName.WINDOWS_MET: "≥"}
    return f"{signs.get(finding.objective, '≤')} {_unit(finding.objective, finding.limit)}"


def turning_point(judgement: Judgement) -> str:
    """What would change the verdict: of the finding that decides it, or of a pass the one with least to spare."""
    deciding = [finding for finding in judgement.findings if finding.verdict == judgement.verdict]
    if not deciding:
        return ""
    if judgement.verdict == Verdict.PASSED:
        deciding.sort(key=lambda finding: finding.margin if finding.margin is not None else 1.0)
    tightest = deciding[0]
    where = f"{wording.title(tightest.phase, tightest.scope)}, {wording.WORD[tightest.objective]}"
    return f"{where}: {tightest.what_would_change}"


def comparison(found: Comparison) -> dict[str, Any]:
    rows = [{**asdict(row), "objective": row.objective.value, "word": row.word.value} for row in found.rows]
    for row in rows:
        row |= {"a_verdict": row["a_verdict"].value, "b_verdict": row["b_verdict"].value}
        row |= {name: _interval(row[name]) for name in ("a_interval", "b_interval")}
    return {"differences": list(found.differences), "overridden": found.overridden, "rows": rows}


def _interval(ends: tuple[float, float] | None) -> list[float | None] | None:
    return None if ends is None else [end if isfinite(end) else None for end in ends]


def _unit(name: ObjectiveName, value: float) -> str:
    if name in TIMES:
        return wording.seconds(value)
    return f"{wording.number(value, 3)}/s" if name == ObjectiveName.QPS else wording.percent(value)


def _run(facts: RunFacts) -> dict[str, Any]:
    names = ("actor", "note", "seed", "created_at", "started_at", "finished_at", "machine")
    return {"id": facts.run, **{name: getattr(facts, name) for name in names}}


def _candidate(facts: RunFacts) -> dict[str, Any]:
    after = dict(flat(dict(facts.fingerprint)))
    before = None if facts.baseline_fingerprint is None else dict(flat(dict(facts.baseline_fingerprint)))
    changed = (
        [
            {"name": name, "baseline": before.get(name), "candidate": after.get(name)}
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
        if before is not None
        else []
    )
    return {
        "target_kind": facts.target_kind,
        "target": facts.target,
        "fingerprint": dict(facts.fingerprint),
        "baseline": None if before is None else dict(facts.baseline_fingerprint or {}),
        "changed": changed,
    }


def _policy(facts: RunFacts, judgement: Judgement) -> dict[str, Any]:
    return {
        "name": facts.policy.name,
        "number": facts.policy_number,
        "author": facts.policy_author,
        "at": facts.policy_at,
        "digest": judgement.policy_digest,
        "body": policies.to_json(facts.policy),
    }


def _end(part: Measured, judgement: Judgement) -> dict[str, Any]:
    end = next((end for end in judgement.phases if end.phase == part.phase), None)
    return {
        "attempt": end.attempt if end else None,
        "complete": bool(end and end.complete),
        "curtailed": end.curtailed if end else "",
        "load_seconds": end.seconds if end else None,
        "level_seconds": [list(entry) for entry in end.level_seconds] if end else [],
    }


def _windows(parts: Sequence[Measured], policy: Policy) -> list[dict[str, Any]]:
    soak = next((part for part in parts if part.phase == Phase.SOAK and part.samples), None)
    if soak is None:
        return []
    rows = [asdict(window) for window in strip(soak.samples, policy, cut=not soak.whole)]
    for row in rows:
        row["state"] = row["state"].value
        row |= {name: row[name] if row[name] and isfinite(row[name]) else None for name in ("ttft_p95", "e2e_p95")}
    return rows


def _digests(facts: RunFacts, judgement: Judgement) -> dict[str, Any]:
    return {
        "rules": RULES,
        "policy": judgement.policy_digest,
        "plan": judgement.plan_digest,
        "samples": judgement.samples_digest,
        "judgement": judgement.digest,
        "key": facts.key_id,
    }
