"""The other two objectives: QPS by the arrival window (best STEP level, SOAK) and SOAK's windows met. Pure."""

from gates import wording
from gates.extent import Extent, Measured
from gates.findings import Rule, graded
from gates.load.samples import SampleOutcome
from gates.rules import qps_needed
from gates.stats import exact
from gates.verdict import Finding, ObjectiveName
from gates.windows import COVERAGE, WindowState, strip


def best_level(part: Measured) -> Finding:
    """Answers that began and ended in a level, over its length; the best level counts."""
    levels = {level: (_answered(part, level), length) for level, length in part.level_seconds if length > 0}
    best = max(levels, key=lambda level: (levels[level][0] / levels[level][1], -level), default=None)
    if best is None:
        return _rule(part, "best level", n=0, ok=0).undecided(part.why or "no level has a length")
    ok, length = levels[best]
    rule = _rule(part, f"level {best}", n=len(part.level(best)), ok=ok)
    value = ok / length
    # A later level can only raise the best one, so what was reached stays reached; what was not is open.
    if rule.n and (part.whole or (part.extent == Extent.CURTAILED and value >= rule.limit)):
        return _throughput(rule, value, length)
    return rule.undecided()


def soak_qps(part: Measured) -> Finding:
    ok = sum(sample.outcome == SampleOutcome.OK for sample in part.counted)
    rule = _rule(part, "phase", n=len(part.counted), ok=ok)
    if rule.n and part.whole:
        return _throughput(rule, ok / part.seconds, part.seconds)
    reachable = (part.planned - rule.n + ok) / part.seconds
    if rule.n and part.extent == Extent.CURTAILED and reachable < rule.limit:
        needed, most = wording.number(rule.limit, 3), wording.number(reachable, 3)
        sentence = (
            f"SOAK: QPS misses {needed} for certain, so the phase was stopped: at most {most} was still possible."
        )
        return rule.decided(passed=False, value=None, sentence=sentence, change="Fewer failures would have passed.")
    return rule.undecided()


def windows(part: Measured) -> Finding:
    policy = part.policy
    states = [window.state for window in strip(part.samples, policy, cut=part.extent != Extent.WHOLE)]
    met, missed = states.count(WindowState.MET), states.count(WindowState.MISSED)
    limit, n = policy.objectives.windows_met, met + missed
    rule = Rule(part=part, name=ObjectiveName.WINDOWS_MET, scope="windows", limit=limit, k=missed, n=n)
    if n < COVERAGE * len(states) or not n or part.extent in (Extent.INCOMPLETE, Extent.NOT_RUN):
        covered = (
            f"{n:,} of {wording.plural(len(states), 'window')} could be judged, {wording.percent(COVERAGE)} needed"
        )
        return rule.undecided(part.why or covered)
    length = policy.window_seconds
    sentence = wording.windows(met=met, determined=n, total=len(states), limit=limit, length=length)
    passed = met / n >= limit
    allowed = int(n * (1 - exact(limit)))
    change = _window_change(missed, allowed)
    finding = rule.decided(passed=passed, value=met / n, sentence=sentence, change=change)
    return graded(finding, share=float(1 - exact(limit)), effect=1.0)


def _answered(part: Measured, level: int) -> int:
    return sum(sample.outcome == SampleOutcome.OK for sample in part.level(level))


def _rule(part: Measured, scope: str, *, n: int, ok: int) -> Rule:
    limit = qps_needed(part.policy.objectives)
    return Rule(part=part, name=ObjectiveName.QPS, scope=scope, limit=limit, k=n - ok, n=n)


def _throughput(rule: Rule, value: float, seconds: float) -> Finding:
    target = rule.part.policy.objectives.qps
    sentence = wording.qps(rule.where, value=value, limit=rule.limit, target=target)
    spare = round(abs(value - rule.limit) * seconds)
    passed = value >= rule.limit
    word = "fewer" if passed else "more"
    change = f"About {wording.plural(max(spare, 1), f'answer {word}', f'answers {word}')} would have turned it."
    return rule.decided(passed=passed, value=value, sentence=sentence, change=change)


def _window_change(missed: int, allowed: int) -> str:
    if missed <= allowed:
        return f"{wording.plural(allowed - missed + 1, 'more missed window')} would have failed it."
    return f"{wording.plural(missed - allowed, 'fewer missed window')} would have passed."
