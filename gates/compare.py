"""Two runs side by side, and one run under another policy: pure functions that never touch what was decided."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gates import stats
from gates.judge import judge
from gates.load.samples import Sample
from gates.policy import Policy
from gates.rules import CLOCKS, P95, measured
from gates.verdict import Finding, Judgement, ObjectiveName, Verdict

QPS_NOISE = 0.02


class Word(StrEnum):
    """Of the second run against the first. SAME: the difference lies within what the samples can tell apart."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`delta` is b − a in the objective's unit (None when a value is missing or infinite).

    Intervals are 95 %; with few requests one is open above (infinite).
    """

    phase: str
    objective: ObjectiveName
    scope: str
    a: float | None
    b: float | None
    delta: float | None
    a_interval: tuple[float, float] | None
    b_interval: tuple[float, float] | None
    word: Word
    a_verdict: Verdict
    b_verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`differences` say why two runs are not alike; with any, the words need an explicit override."""

    differences: tuple[str, ...]
    overridden: bool
    rows: tuple[Row, ...]


def compare(
    a: Judgement,
    a_samples: Sequence[Sample],
    b: Judgement,
    b_samples: Sequence[Sample],
    *,
    override: bool = False,
    differences: Sequence[str] = (),
) -> Comparison:
    """b against a; samples of kept attempts. `differences` are further ones that the caller knows."""
    unlike = (*_differences(a, b), *differences)
    others = {_key(finding): finding for finding in b.findings}
    rows = [
        _row(finding, others[_key(finding)], a_samples, b_samples, usable=override or not unlike)
        for finding in a.findings
        if _key(finding) in others
    ]
    return Comparison(differences=unlike, overridden=override and bool(unlike), rows=tuple(rows))


def what_if(judgement: Judgement, samples: Sequence[Sample], ran: Policy, draft: Policy) -> Judgement:
    """The stored run judged by the draft's objectives and windows. Its load stays what was sent."""
    asked = replace(
        ran,
        name=draft.name,
        objectives=draft.objectives,
        window_seconds=draft.window_seconds,
        window_minimum=draft.window_minimum,
    )
    ended = judgement.verdict if judgement.verdict in (Verdict.CANCELLED, Verdict.ERRORED) else None
    return judge(
        samples,
        asked,
        generator=judgement.generator,
        phases=judgement.phases,
        plan_digest=judgement.plan_digest,
        ended=ended,
        ended_reason=judgement.reason if ended else "",
    )


def interval(finding: Finding, samples: Sequence[Sample]) -> tuple[float, float] | None:
    """Where the true value lies, 95 %: by order statistics for a percentile, by exact bounds for a share."""
    if finding.objective in CLOCKS:
        return _percentile_interval(finding, samples)
    if finding.objective == ObjectiveName.QPS:
        return None if finding.value is None else (finding.value * (1 - QPS_NOISE), finding.value * (1 + QPS_NOISE))
    if finding.low is None or finding.high is None:
        return None
    if finding.objective == ObjectiveName.WINDOWS_MET:
        return 1 - finding.high, 1 - finding.low
    return finding.low, finding.high


def _row(a: Finding, b: Finding, a_samples: Sequence[Sample], b_samples: Sequence[Sample], *, usable: bool) -> Row:
    first, second = interval(a, a_samples), interval(b, b_samples)
    known = a.value is not None and b.value is not None
    return Row(
        phase=a.phase,
        objective=a.objective,
        scope=a.scope if a.scope == b.scope else f"{a.scope} → {b.scope}",
        a=a.value,
        b=b.value,
        delta=b.value - a.value if a.value is not None and b.value is not None else None,
        a_interval=first,
        b_interval=second,
        word=_word(a.objective, first, second) if usable and known else Word.NOT_COMPARABLE,
        a_verdict=a.verdict,
        b_verdict=b.verdict,
    )


def _word(name: ObjectiveName, a: tuple[float, float] | None, b: tuple[float, float] | None) -> Word:
    if a is None or b is None:
        return Word.NOT_COMPARABLE
    if a[0] <= b[1] and b[0] <= a[1]:
        return Word.SAME
    higher = b[0] > a[1]
    return Word.BETTER if higher == (name in (ObjectiveName.QPS, ObjectiveName.WINDOWS_MET)) else Word.WORSE


def _percentile_interval(finding: Finding, samples: Sequence[Sample]) -> tuple[float, float] | None:
    """Ranks whose binomial tails are 2.5 % each; the tails widen with the design effect."""
    clock = CLOCKS[finding.objective]
    own = [sample for sample in measured(samples) if sample.phase == finding.phase]
    if finding.scope.startswith("level "):
        level = int(finding.scope.removeprefix("level "))
        own = [sample for sample in own if sample.level == level and not sample.transition]
    values, n = sorted(map(clock, own)), len(own)
    effective = int(n / (finding.design_effect or 1.0))
    low = max((k for k in range(effective) if stats.at_most(k, effective, P95) <= 0.025), default=None)
    high = next((k for k in range(effective) if 1 - stats.at_most(k, effective, P95) <= 0.025), None)
    if not n:
        return None
    least = 0.0 if low is None else values[math.floor(low * n / effective)]
    return least, math.inf if high is None else values[math.floor(high * n / effective)]


def _differences(a: Judgement, b: Judgement) -> list[str]:
    found = []
    if a.plan_digest != b.plan_digest:
        found.append(f"The plans differ: {a.plan_digest[:12]} and {b.plan_digest[:12]}.")
    if a.policy_digest != b.policy_digest:
        found.append(f"The policies differ: {a.policy_digest[:12]} and {b.policy_digest[:12]}.")
    lengths = [{end.phase: end.planned for end in run.phases if end.complete and not end.curtailed} for run in (a, b)]
    for phase in sorted(lengths[0].keys() | lengths[1].keys()):
        first, second = lengths[0].get(phase), lengths[1].get(phase)
        if first != second:
            shown = ["not run to its end" if length is None else f"{length:,} requests" for length in (first, second)]
            found.append(f"{phase.upper()}: {shown[0]} and {shown[1]}.")
    if Verdict.INVALID in (a.verdict, b.verdict):
        found.append("A run is invalid: its load generator broke its own limits.")
    return found


def _key(finding: Finding) -> tuple[str, str, str]:
    """QPS of STEP is compared best level with best level, whichever that was."""
    return finding.phase, finding.objective, "" if finding.objective == ObjectiveName.QPS else finding.scope
