"""The verdict of a run: a pure function of samples, policy, the load generator's health and the ends of phases."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import orjson

from gates import findings, throughput, wording
from gates import policy as policies
from gates.backlog import engine_words
from gates.extent import Extent, Measured, read
from gates.load.samples import Sample, SampleOutcome
from gates.load.samples import to_json as sample_json
from gates.policy import Phase, Policy
from gates.rules import CLOCKS
from gates.verdict import (
    SEVERITY,
    Finding,
    GeneratorHealth,
    Grade,
    Judgement,
    ObjectiveName,
    PhaseEnd,
    Verdict,
)

RULES = 1  # raised when the same samples would be judged otherwise
NOT_THE_ENGINE = "by no fault of the engine. "
PROSE = ("reason", "sentence", "what_would_change")


def judge(
    samples: Sequence[Sample],
    policy: Policy,
    *,
    generator: Sequence[GeneratorHealth],
    phases: Sequence[PhaseEnd],
    plan_digest: str,
    ended: Verdict | None = None,
    ended_reason: str = "",
) -> Judgement:
    """`phases` are the kept attempts. `ended` is CANCELLED or ERRORED for a run that did not reach its own end."""
    ends = {end.phase: end for end in phases}
    parts = [read(phase, policy, samples, ends.get(phase.value)) for phase in policy.phases]
    broken = _breaches(parts, generator)
    found = [_void(finding, broken) for part in parts for finding in of_phase(part)]
    verdict, reason = _verdict(parts, found, broken)
    if ended is not None:
        verdict, reason = ended, ended_reason or f"The run was {ended.value}."
    judgement = Judgement(
        verdict=verdict,
        reason=reason,
        findings=tuple(found),
        generator=tuple(generator),
        phases=tuple(phases),
        policy_digest=policies.digest(policy),
        plan_digest=plan_digest,
        samples_digest=samples_digest(sample for part in parts for sample in part.samples),
        digest="",
    )
    return replace(judgement, digest=seal(judgement))


def of_phase(part: Measured) -> list[Finding]:
    found = [findings.latency(part, group, name) for name in CLOCKS for group in part.latency_groups()]
    found.append(findings.errors(part))
    if part.phase == Phase.STEP:
        found.append(throughput.best_level(part))
    if part.phase == Phase.SOAK:
        found += [throughput.soak_qps(part), throughput.windows(part)]
    return found


def samples_digest(samples: Iterable[Sample]) -> str:
    """Of the kept, measured samples, whatever order they came in."""
    lines = sorted(orjson.dumps(sample_json(sample), option=orjson.OPT_SORT_KEYS) for sample in samples)
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def seal(judgement: Judgement) -> str:
    """SHA-256 of everything but the prose, so that better wording does not break old evidence."""
    body = to_json(judgement)
    sealed = {key: value for key, value in body.items() if key not in (*PROSE, "digest")}
    sealed["findings"] = [
        {key: value for key, value in finding.items() if key not in PROSE} for finding in body["findings"]
    ]
    canonical = json.dumps({"rules": RULES, **sealed}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def to_json(judgement: Judgement) -> dict[str, Any]:
    """Plain JSON values: from_json gives an equal judgement, also after a trip through a database."""
    body: dict[str, Any] = json.loads(json.dumps(asdict(judgement), allow_nan=False))
    return body


def from_json(body: Mapping[str, Any]) -> Judgement:
    """Raises KeyError, TypeError or ValueError for a body that to_json did not write."""
    return Judgement(
        **{
            **body,
            "verdict": Verdict(body["verdict"]),
            "findings": tuple(_finding(entry) for entry in body["findings"]),
            "generator": tuple(health_from_json(entry) for entry in body["generator"]),
            "phases": tuple(end_from_json(entry) for entry in body["phases"]),
        }
    )


def health_from_json(body: Mapping[str, Any]) -> GeneratorHealth:
    return GeneratorHealth(**{**body, "breaches": tuple(body["breaches"])})


def end_from_json(body: Mapping[str, Any]) -> PhaseEnd:
    levels = tuple((int(level), float(seconds)) for level, seconds in body["level_seconds"])
    return PhaseEnd(**{**body, "level_seconds": levels})


def _finding(body: Mapping[str, Any]) -> Finding:
    grade = None if body["grade"] is None else Grade(body["grade"])
    named = {"objective": ObjectiveName(body["objective"]), "verdict": Verdict(body["verdict"]), "grade": grade}
    return Finding(**{**body, **named})


def _breaches(parts: Sequence[Measured], generator: Sequence[GeneratorHealth]) -> dict[str, str]:
    """Phase → whose fault it is that its evidence is unusable. So is a phase whose generator nobody watched."""
    health = {entry.phase: entry for entry in generator}
    broken: dict[str, str] = {}
    for part in parts:
        own = health.get(part.phase.value)
        not_sent = sum(sample.outcome == SampleOutcome.NOT_SENT for sample in part.counted)
        engine = engine_words(part, own)
        if engine:
            broken[part.phase.value] = engine
        elif own is not None and own.breaches:
            broken[part.phase.value] = NOT_THE_ENGINE + "; ".join(own.breaches)
        elif not_sent:
            broken[part.phase.value] = f"{NOT_THE_ENGINE}{wording.plural(not_sent, 'request')} could not be sent."
        elif own is None and part.extent in (Extent.WHOLE, Extent.CURTAILED):
            broken[part.phase.value] = f"{NOT_THE_ENGINE}The load generator left no record of its own health."
    return broken


def _void(finding: Finding, broken: Mapping[str, str]) -> Finding:
    return replace(finding, verdict=Verdict.INVALID) if finding.phase in broken else finding


def _verdict(parts: Sequence[Measured], found: Sequence[Finding], broken: Mapping[str, str]) -> tuple[Verdict, str]:
    if not found:
        return Verdict.INVALID, "The policy has no phase, so there is nothing to judge."
    if not any(part.counted for part in parts):
        return Verdict.INVALID, "No request was measured: no data is never a pass."
    if broken:
        phase, why = next(iter(broken.items()))
        return Verdict.INVALID, f"{phase.upper()}: the evidence is unusable, {why}"
    verdict = min((finding.verdict for finding in found), key=SEVERITY.index)
    if verdict == Verdict.PASSED:
        weak = sum(finding.grade in (Grade.THIN, Grade.DOUBTFUL) for finding in found)
        note = f" {wording.plural(weak, 'of them rests', 'of them rest')} on thin evidence." if weak else ""
        return verdict, f"All {len(found)} objectives hold.{note}"
    deciding = [finding for finding in found if finding.verdict == verdict]
    return verdict, wording.overall(verdict, deciding[0].sentence, len(deciding) - 1)
