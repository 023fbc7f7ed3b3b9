"""What a release rests on: the candidate as it was tested, the gate's judgement, and what has changed since."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from engines.models import Engine
from gates import release_policies
from gates.models import GateRun, Release
from gates.release_policy import ReleasePolicy, from_json
from gates.runs import OVER, State
from gates.subject import identity
from gates.verdict import Grade

WEAK = frozenset({Grade.THIN.value, Grade.DOUBTFUL.value})


def policy_of(release: Release) -> ReleasePolicy:
    return from_json(release.policy.body)


def fingerprint(engine_name: str) -> dict[str, Any]:
    """Empty when there is no such engine (any more)."""
    engine = Engine.objects.with_replicas().filter(name=engine_name).first()
    return {} if engine is None else identity(engine, list(engine.replicas.all()))


def digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def evidence_digest(release: Release) -> str:
    """Of the judgement and the waiver that stand behind the release."""
    run = release.gate_run
    judged = run.judgement.get("digest", "") if run is not None else ""
    return digest({"run": release.gate_run_id, "judgement": judged, "waiver": release.waiver})


def gate_words(run: GateRun) -> str:
    return f"Gate run {run.pk}, policy {run.policy}: {run.verdict or run.state}. {run.reason}".strip()


def is_over(run: GateRun) -> bool:
    return run.state in OVER


def passed(run: GateRun) -> bool:
    return run.state == State.PASSED


def is_weak(run: GateRun) -> bool:
    """A THIN or DOUBTFUL grade anywhere: good enough for a person, not for automation."""
    return any(finding.get("grade") in WEAK for finding in run.judgement.get("findings", ()))


def drift(release: Release, now: datetime) -> str:
    """What has changed since the evidence was made, in words; empty when nothing has."""
    current = fingerprint(release.candidate)
    if not current:
        return f"{release.candidate} is no longer registered."
    if digest(current) != release.candidate_digest:
        return f"{release.candidate} is not what was tested: {_changed(release.fingerprint, current)}."
    newest = release_policies.newest(release.policy.name)
    if newest is not None and newest.digest != release.policy.digest:
        return f"Policy {release.policy.name} is at version {newest.number} now, this release goes by {release.policy}."
    if _waived(release, now):
        return ""
    return _aged(release, now)


def waiver_over(release: Release, now: datetime) -> bool:
    until = parse_datetime(release.waiver.get("until", ""))
    return until is not None and now >= until


def _waived(release: Release, now: datetime) -> bool:
    return bool(release.waiver) and not waiver_over(release, now)


def _aged(release: Release, now: datetime) -> str:
    run = release.gate_run
    if release.waiver:
        return "The waiver of the gate has expired."
    if run is None or not passed(run):
        return "There is no passed gate run."
    oldest = timedelta(seconds=policy_of(release).evidence_seconds)
    if run.finished_at is not None and now - run.finished_at > oldest:
        return f"Gate run {run.pk} is older than {oldest.days} days."
    failing = GateRun.objects.filter(
        target_kind=GateRun.Target.ENGINE, target=release.candidate, state=State.FAILED, pk__gt=run.pk
    ).first()
    return "" if failing is None else f"Gate run {failing.pk} of {release.candidate} failed since."


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return ", ".join(name.replace("_", " ") for name in names) or "its identity"
