"""Findings in plain sentences: the value, its margin, what would change the verdict and what would settle the grade."""

from gates.policy import Phase
from gates.stats import BURSTY, floor
from gates.verdict import Grade, ObjectiveName, Verdict

WORD = {
    ObjectiveName.TTFT_P95: "P95 TTFT",
    ObjectiveName.E2E_P95: "P95 E2E",
    ObjectiveName.ERROR_RATE: "error rate",
    ObjectiveName.QPS: "QPS",
    ObjectiveName.WINDOWS_MET: "windows met",
}


def number(value: float, digits: int = 2) -> str:
    """1234.50 → 1,234.5"""
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    return f"{number(share * 100, 3 if 0 < share < 0.001 else 2)} %"


def seconds(value: float | None) -> str:
    """A time near its limit must not be rounded onto it, so three digits."""
    return "infinite" if value is None else f"{number(value, 3)} s"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def title(phase: str, scope: str) -> str:
    return f"{phase.upper()}, {scope}" if phase == Phase.STEP else phase.upper()


def latency(name: ObjectiveName, where: str, *, value: float | None, limit: float, k: int, n: int, allowed: int) -> str:
    """A finished phase: the percentile and the count that decides it."""
    return f"{where}: {WORD[name]} is {seconds(value)}{_gap(value, limit)}; {counts(k, n, allowed, 'over the limit')}."


def latency_change(k: int, allowed: int) -> str:
    if k <= allowed:
        return f"{plural(allowed - k + 1, 'more slow or failed request')} would have failed it."
    return f"{plural(k - allowed, 'fewer slow or failed request')} would have passed."


def errors(where: str, *, k: int, n: int, limit: float, allowed: int) -> str:
    side = "under" if k <= allowed else "not under"
    return f"{where}: {percent(k / n)} of requests failed, {side} {percent(limit)}; {counts(k, n, allowed, 'failed')}."


def errors_change(k: int, allowed: int) -> str:
    if allowed < 0:
        return "No sample can meet this limit."
    if k <= allowed:
        return f"{plural(allowed - k + 1, 'more failure')} would have failed it."
    return f"{plural(k - allowed, 'fewer failure')} would have passed."


def counts(k: int, n: int, allowed: int, what: str) -> str:
    return f"{k:,} of {n:,} {what}, {max(allowed, 0):,} allowed"


def lost(name: ObjectiveName, where: str, *, limit: str, k: int, planned: int, allowed: int) -> str:
    """A curtailed phase: certain from the plan, while the percentile itself would be biased."""
    what = "failed" if name == ObjectiveName.ERROR_RATE else "over the limit"
    return (
        f"{where}: {WORD[name]} misses {limit} for certain, so the phase was stopped: {k:,} already {what}, "
        f"{max(allowed, 0):,} allowed in {planned:,} planned."
    )


def qps(where: str, *, value: float, limit: float, target: float) -> str:
    side = "reaches" if value >= limit else "misses"
    return f"{where}: {number(value, 3)} requests/s answered, {side} {number(limit, 3)} (target {number(target)})."


def windows(*, met: int, determined: int, total: int, limit: float, length: float) -> str:
    share = met / determined if determined else 0.0
    text = (
        f"SOAK: {met:,} of {plural(determined, 'window')} of {number(length)} s met ({percent(share)}), "
        f"{percent(limit)} needed; {determined:,} of {total:,} could be judged."
    )
    return text + (" One window only: it repeats the P95 rules and says nothing about steadiness." * (total == 1))


def undecided(name: ObjectiveName, where: str, why: str) -> str:
    return f"{where}: {WORD[name]} is undecided: {why}."


def proof(
    grade: Grade, *, n: int, share: float, high: float, low: float, more: int | None, effect: float, unit: str
) -> str:
    """What the sample proves about the true share, at 95 %, and what would settle it."""
    bursty = f" Slow moments clump (design effect {number(effect, 1)}): repeat the run." if effect > BURSTY else ""
    if grade == Grade.PROVEN:
        return f"Proven: the true share is at most {percent(high)}, {percent(share)} allowed.{bursty}"
    if grade == Grade.REFUTED:
        return f"Refuted: the true share is at least {percent(low)}, {percent(share)} allowed.{bursty}"
    least = floor(share)
    if grade == Grade.THIN and least is not None and n < least:
        few = plural(n, unit.removesuffix("s"))
        return f"{few} can never prove {percent(share)}: {least:,} without a single miss would.{bursty}"
    if more is None:
        return f"More {unit} at this rate would not prove it.{bursty}"
    return f"Proof takes {more:,} more {unit} at this rate.{bursty}"


def overall(verdict: Verdict, decisive: str, others: int) -> str:
    more = f" So do {others:,} more objectives." if others > 1 else " So does one more objective." if others else ""
    return decisive + more if verdict == Verdict.FAILED else decisive


def _gap(value: float | None, limit: float) -> str:
    if value is None:
        return f", over the limit of {seconds(limit)}"
    gap = limit - value
    side = f"{seconds(gap)} under" if gap > 0 else "exactly at" if gap == 0 else f"{seconds(-gap)} over"
    return f", {side} the limit of {seconds(limit)}"
