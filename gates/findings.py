"""The share objectives of one phase (latencies, errors), judged literally and graded beside. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from gates import stats, wording
from gates.extent import Extent, Group, Measured
from gates.load.samples import Sample
from gates.policy import Phase
from gates.rules import CLOCKS, P95, failures_allowed, slow_allowed
from gates.verdict import Finding, Grade, ObjectiveName, Verdict

SLOW_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One objective applied to one group of samples: k of n went over the limit."""

    part: Measured
    name: ObjectiveName
    scope: str
    limit: float
    k: int
    n: int

    @property
    def where(self) -> str:
        return wording.title(self.part.phase, self.scope)

    def decided(self, *, passed: bool, value: float | None, sentence: str, change: str) -> Finding:
        higher_is_better = self.name in (ObjectiveName.QPS, ObjectiveName.WINDOWS_MET)
        gap = None if value is None else (value - self.limit if higher_is_better else self.limit - value)
        return Finding(
            phase=self.part.phase.value,
            objective=self.name,
            scope=self.scope,
            value=value,
            limit=self.limit,
            n=self.n,
            exceedances=self.k,
            verdict=Verdict.PASSED if passed else Verdict.FAILED,
            grade=None,
            margin=None if gap is None else gap / self.limit,
            sentence=sentence,
            what_would_change=change,
        )

    def undecided(self, why: str = "") -> Finding:
        why = why or self.part.why or "nothing was measured"
        open_ = self.decided(
            passed=False, value=None, sentence=wording.undecided(self.name, self.where, why), change=""
        )
        grade = None if self.name == ObjectiveName.QPS else Grade.THIN
        return replace(
            open_, verdict=Verdict.INCONCLUSIVE, grade=grade, what_would_change="A run of the whole phase would decide."
        )


def graded(finding: Finding, *, share: float, effect: float) -> Finding:
    """Adds what the sample proves about the true share of misses. Rounded, so that every machine agrees."""
    k, n, effect = finding.exceedances, finding.n, round(effect, 6)
    passed = finding.verdict == Verdict.PASSED
    grade = stats.grade(k=k, n=n, share=share, passed=passed, effect=effect)
    more = None if grade in (Grade.PROVEN, Grade.REFUTED) else stats.more_needed(k=k, n=n, share=share, effect=effect)
    low, high = round(stats.lower(k / effect, n / effect), 9), round(stats.upper(k / effect, n / effect), 9)
    unit = "windows" if finding.objective == ObjectiveName.WINDOWS_MET else "requests"
    proof = wording.proof(grade, n=n, share=share, high=high, low=low, more=more, effect=effect, unit=unit)
    change = f"{finding.what_would_change} {proof}"
    return replace(
        finding, grade=grade, design_effect=effect, more_needed=more, low=low, high=high, what_would_change=change
    )


def latency(part: Measured, group: Group, name: ObjectiveName) -> Finding:
    limit, clock = getattr(part.policy.objectives, name.value), CLOCKS[name]
    values = [clock(sample) for sample in group.counted]
    k, n = sum(value > limit for value in values), len(values)
    rule = Rule(part=part, name=name, scope=group.scope, limit=limit, k=k, n=n)
    if n and part.whole:
        finding = _percentile(rule, stats.nearest_rank(values, P95))
    elif part.extent == Extent.CURTAILED and k > slow_allowed(part.planned) and part.planned:
        finding = _lost(rule, slow_allowed(part.planned), wording.seconds(limit))
    else:
        return rule.undecided()
    blocks = _blocks(part)
    effect = _pooled(group, lambda own: stats.latency_design_effect([clock(sample) for sample in own], limit, blocks))
    return graded(finding, share=SLOW_SHARE, effect=effect)


def errors(part: Measured) -> Finding:
    group, limit = part.pool(), part.policy.objectives.error_rate
    k, n = sum(sample.failed for sample in group.counted), len(group.counted)
    rule = Rule(part=part, name=ObjectiveName.ERROR_RATE, scope=group.scope, limit=limit, k=k, n=n)
    if n and part.whole:
        allowed = failures_allowed(n, limit)
        sentence = wording.errors(rule.where, k=k, n=n, limit=limit, allowed=allowed)
        change = wording.errors_change(k, allowed)
        finding = rule.decided(passed=k / n < limit, value=k / n, sentence=sentence, change=change)
    elif part.extent == Extent.CURTAILED and n and k > failures_allowed(part.planned, limit):
        finding = replace(_lost(rule, failures_allowed(part.planned, limit), wording.percent(limit)), value=k / n)
    else:
        return rule.undecided()
    blocks = _blocks(part)
    effect = _pooled(group, lambda own: stats.design_effect([sample.failed for sample in own], blocks))
    return graded(finding, share=limit, effect=effect)


def _percentile(rule: Rule, value: float) -> Finding:
    allowed = slow_allowed(rule.n)
    shown = value if math.isfinite(value) else None
    sentence = wording.latency(
        rule.name, rule.where, value=shown, limit=rule.limit, k=rule.k, n=rule.n, allowed=allowed
    )
    change = wording.latency_change(rule.k, allowed)
    return rule.decided(passed=value <= rule.limit, value=shown, sentence=sentence, change=change)


def _lost(rule: Rule, allowed: int, limit: str) -> Finding:
    words = wording.lost(rule.name, rule.where, limit=limit, k=rule.k, planned=rule.part.planned, allowed=allowed)
    is_error = rule.name == ObjectiveName.ERROR_RATE
    change = wording.errors_change(rule.k, allowed) if is_error else wording.latency_change(rule.k, allowed)
    return rule.decided(passed=False, value=None, sentence=words, change=change)


def _pooled(group: Group, clumping: Callable[[tuple[Sample, ...]], float]) -> float:
    """Mean over the strata, weighted by size: levels differ by design, which is no clumping."""
    weighed = sum(len(own) * clumping(own) for own in group.strata)
    return weighed / sum(len(own) for own in group.strata) if weighed else 1.0


def _blocks(part: Measured) -> int:
    """One minute each in a long phase, never fewer than fifteen."""
    return max(stats.BLOCKS, int(part.seconds // 60)) if part.phase == Phase.SOAK else stats.BLOCKS
