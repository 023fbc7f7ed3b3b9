"""From what clients saw to findings and a verdict: one per scenario, in words. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gates.failover.scenarios import MEANING, Sample, Scenario, Seen, Span
from gates.verdict import SEVERITY, Verdict

FEWEST = 6
FAILURES = {
    Seen.ERROR_EVENT: "ended in an error event",
    Seen.HTTP_ERROR: "got an HTTP error",
    Seen.CUT: "were cut off",
    Seen.NO_CONNECTION: "could not reach the gateway",
    Seen.TIMEOUT: "got no answer in time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`stand_in` is the engine's name in the temporary route, `other` is who should take over."""

    engine: str
    stand_in: str
    other: str
    ttft_limit: float
    e2e_limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Counts are of requests sent while the fault lasted. `interrupted` streams had begun before it and broke.

    `outage`: from the first failure a client saw to the next answer that was complete; None: nobody saw a failure.
    `takeover`: from the fault to the end of the first answer by the other engine. `out`, `back`: seconds from the fault
    to leaving rotation, and from its end to re-entering; None: it did not.
    """

    scenario: Scenario
    meaning: str
    requests: int
    ok: int
    by_other: int
    retried: int | None
    failed: dict[str, int]
    late: int
    interrupted: int
    failed_after: int
    outage: float | None
    takeover: float | None
    out: float | None
    back: float | None
    worst_ttft: float | None
    worst_e2e: float | None
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...]


def judge(samples: Sequence[Sample], spans: Sequence[Span], pair: Pair) -> Report:
    """Only what the spans cover is judged; the calm before the first must have been answered by the stand-in."""
    first = min((span.began for span in spans), default=0.0)
    calm = [sample for sample in samples if sample.ended <= first]
    unfit = [sample for sample in calm if sample.seen is not Seen.OK or sample.engine != pair.stand_in]
    findings = tuple(_finding(samples, span, pair) for span in spans)
    if not spans or not calm or unfit:
        why = f"{len(unfit)} of {len(calm)} requests before the first fault were not answered by {pair.engine}"
        return Report(
            verdict=Verdict.INVALID, reason=f"{why}, so nothing can be said of the faults.", findings=findings
        )
    verdict = next(word for word in SEVERITY if any(finding.verdict is word for finding in findings))
    named = [finding.scenario.value for finding in findings if finding.verdict is verdict]
    return Report(verdict=verdict, reason=_reason(verdict, named, len(findings)), findings=findings)


def _reason(verdict: Verdict, named: Sequence[str], total: int) -> str:
    if verdict is Verdict.PASSED:
        return f"In {total} of {total} scenarios every request sent after the fault was answered within its limits."
    what = "Requests sent after the fault failed or were late, or the engine did not come back"
    if verdict is Verdict.INCONCLUSIVE:
        what = f"Fewer than {FEWEST} requests were sent"
    return f"{what}: {', '.join(named)}."


def _finding(samples: Sequence[Sample], span: Span, pair: Pair) -> Finding:
    during = [sample for sample in samples if span.began <= sample.sent < span.healed]
    after = [sample for sample in samples if span.healed <= sample.sent < span.ended]
    before = [sample for sample in samples if sample.sent < span.began < sample.ended]
    good = [sample for sample in during if sample.seen is Seen.OK]
    failed = Counter(sample.seen for sample in during if sample.seen is not Seen.OK)
    late = [sample for sample in [*good, *after] if sample.seen is Seen.OK and _is_late(sample, pair)]
    interrupted = [sample for sample in before if sample.seen is not Seen.OK]
    failed_after = [sample for sample in after if sample.seen is not Seen.OK]
    broken = bool(failed or late or failed_after) or not span.recovered
    verdict = Verdict.FAILED if broken else Verdict.INCONCLUSIVE if len(during) < FEWEST else Verdict.PASSED
    known = [sample.attempts for sample in during if sample.attempts is not None]
    facts = {
        "requests": len(during),
        "ok": len(good),
        "by_other": sum(sample.engine == pair.other for sample in good),
        "retried": sum(attempts > 1 for attempts in known) if known else None,
        "failed": {seen.value: count for seen, count in sorted(failed.items())},
        "late": len(late),
        "interrupted": len(interrupted),
        "failed_after": len(failed_after),
        "outage": _outage([*before, *during, *after]),
        "takeover": _takeover(during, span, pair),
        "out": None if span.out_at is None else span.out_at - span.began,
        "back": None if span.back_at is None else max(span.back_at - span.healed, 0.0),
        "worst_ttft": max((sample.ttft for sample in good if sample.ttft is not None), default=None),
        "worst_e2e": max((sample.ended - sample.sent for sample in good), default=None),
    }
    words = _words(facts, span, pair)
    return Finding(scenario=span.scenario, meaning=MEANING[span.scenario], verdict=verdict, words=words, **facts)  # type: ignore[arg-type]


def _is_late(sample: Sample, pair: Pair) -> bool:
    return (sample.ttft or 0.0) > pair.ttft_limit or sample.ended - sample.sent > pair.e2e_limit


def _outage(samples: Sequence[Sample]) -> float | None:
    """None as well when no complete answer followed."""
    failures = [sample.ended for sample in samples if sample.seen is not Seen.OK]
    if not failures:
        return None
    answers = [sample.ended for sample in samples if sample.seen is Seen.OK and sample.ended > min(failures)]
    return min(answers) - min(failures) if answers else None


def _takeover(during: Sequence[Sample], span: Span, pair: Pair) -> float | None:
    ends = [sample.ended for sample in during if sample.seen is Seen.OK and sample.engine == pair.other]
    return min(ends) - span.began if ends else None


def _words(facts: Mapping[str, Any], span: Span, pair: Pair) -> str:
    said = [f"{facts['ok']} of {facts['requests']} requests were answered, {facts['by_other']} by {pair.other}."]
    if facts["retried"]:
        said.append(f"The gateway tried {facts['retried']} again on its own; their clients saw only a longer wait.")
    failed = facts["failed"]
    said += [f"{count} {FAILURES[Seen(seen)]}." for seen, count in failed.items()]
    if facts["interrupted"]:
        said.append(f"{facts['interrupted']} that had begun before the fault broke; a begun answer is never repeated.")
    if facts["failed_after"]:
        said.append(f"{facts['failed_after']} failed after the fault had ended.")
    if facts["late"]:
        said.append(
            f"{facts['late']} came later than {pair.ttft_limit:g} s to the first token or {pair.e2e_limit:g} s."
        )
    if facts["outage"] is not None:
        said.append(f"{facts['outage']:.1f} s passed between the first failure and the next complete answer.")
    if not failed and not facts["interrupted"] and not facts["failed_after"]:
        said.append("No client saw an error.")
    return " ".join([*said, _health(facts, span, pair)])


def _health(facts: Mapping[str, Any], span: Span, pair: Pair) -> str:
    if not span.recovered:
        return f"{pair.engine} did not answer again within {span.ended - span.healed:.0f} s of the fault's end."
    if facts["out"] is None:
        return f"{pair.engine} stayed in rotation."
    back = "" if facts["back"] is None else f" and came back {facts['back']:.1f} s after its end"
    return f"{pair.engine} left rotation {facts['out']:.1f} s after the fault began{back}."
