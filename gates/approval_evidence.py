"""What an approver looks at: each piece of evidence with its state, its words and its digest."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gates import approvals
from gates import release_evidence as evidence
from gates.models import Approval, GateStudy, Release
from gates.study_states import State as StudyState


@dataclass(frozen=True, slots=True)
class Item:
    """`state` is ok, warn, fail or idle (there is none)."""

    state: str
    title: str
    detail: str
    digest: str = ""


def items(approval: Approval, release: Release, now: datetime) -> list[Item]:
    """In the order in which they decide."""
    found = [_gate(release), _candidate(approval, release), _policy(approval, release)]
    if release.stage:
        found.append(_bake(release))
    if approval.target_stage == 100:
        found.append(capacity(release))
    stale = approvals.stale_reason(approval, release, now)
    if stale:
        found.insert(0, Item("fail", "Stale: it cannot be approved", stale))
    return found


def _gate(release: Release) -> Item:
    run = release.gate_run
    if release.waiver:
        detail = f"{release.waiver['by']}: {release.waiver['reason']} · until {release.waiver['until'][:16]} UTC"
        return Item("fail", "The gate was waived", detail, evidence.evidence_digest(release))
    if run is None:
        return Item("fail", "No gate run", "Nothing shows that the candidate holds its objectives.")
    state = ("warn" if evidence.is_weak(run) else "ok") if evidence.passed(run) else "fail"
    grades = [finding.get("grade") for finding in run.judgement.get("findings", ()) if finding.get("grade")]
    words = ", ".join(f"{grades.count(name)} {name}" for name in dict.fromkeys(grades))
    return Item(state, f"Gate run {run.pk}, policy {run.policy}: {run.verdict}", words or run.reason,
                str(run.judgement.get("digest", "")))  # fmt: skip


def _candidate(approval: Approval, release: Release) -> Item:
    same = evidence.digest(evidence.fingerprint(release.candidate)) == approval.candidate_digest
    names = [str(release.fingerprint.get(name) or "") for name in ("kind", "served_model", "context_length")]
    versions = ", ".join(release.fingerprint.get("versions", ()))
    detail = " · ".join(part for part in [*names, versions] if part)
    title = "Candidate unchanged since the gate" if same else "The candidate is not what was tested"
    return Item("ok" if same else "fail", title, detail, approval.candidate_digest)


def _policy(approval: Approval, release: Release) -> Item:
    stages = " → ".join(str(weight) for weight in evidence.policy_of(release).weights)
    detail = f"version {release.policy.number} by {release.policy.actor_name}"
    return Item("ok", f"Policy {release.policy.name}: walk {stages} %", detail, approval.policy_digest)


def _bake(release: Release) -> Item:
    counts: dict[str, Any] = release.detectors.get("counts", {}).get("errors", {})
    peaks = [bar["peak"] / bar["line"] for test in ("blame", "protect") for bar in _bars(release, test)]
    nearest = max(peaks, default=0.0)
    state = "ok" if nearest < 0.5 else "warn"
    detail = f"{counts.get('canary_bad', 0)} failed; the nearest detector came to {100 * nearest:.0f} % of its line"
    return Item(state, f"Bake at {release.stage} %: {counts.get('canary', 0)} requests", detail)


def _bars(release: Release, test: str) -> list[dict[str, float]]:
    return list(release.detectors.get(test, {}).values())


def capacity(release: Release) -> Item:
    """A canary at 10 % proves nothing about load: what a capacity search of the candidate found."""
    study = (
        GateStudy.objects.filter(kind=GateStudy.Kind.CAPACITY, target=release.candidate, state=StudyState.DONE)
        .order_by("-pk").first()
    )  # fmt: skip
    result = study.body.get("result", {}) if study else {}
    if not result:
        return Item("warn", "Capacity never measured", "A canary proves nothing about load: search its capacity first.")
    low, high = (f"{result[key]:.2f}" if result.get(key) is not None else "—" for key in ("lo", "hi"))
    headroom = result.get("headroom")
    words = f"headroom {headroom:.2f} × over the target" if headroom is not None else "no headroom known"
    state = "ok" if headroom is not None and headroom >= 1 else "warn"
    return Item(
        state, f"Capacity: holds {low}, not {high} requests per second", f"{words} · study {study.pk if study else ''}"
    )
