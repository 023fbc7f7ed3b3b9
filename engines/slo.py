"""Objectives, windows judged against them, and burn rates. Pure: counters in, verdicts out.

An SLI is a pair of counters kept at the end of each request (good, total), so no percentile of buckets is needed:
"P95 TTFT ≤ 7 s" is the statement that at least 95 % of requests had a TTFT ≤ 7 s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Sli(StrEnum):
    TTFT = "ttft"
    E2E = "e2e"
    SUCCESS = "success"
    QPS = "qps"


@dataclass(frozen=True, slots=True)
class Objective:
    """`target` is the share of good requests asked for. `limit` is seconds (ttft, e2e) or requests/s (qps)."""

    sli: Sli
    target: float
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Requests that met the objective's limit, of all that count."""

    good: int
    total: int

    @property
    def bad_share(self) -> float | None:
        return (self.total - self.good) / self.total if self.total else None

    def __add__(self, other: "Count") -> "Count":
        return Count(self.good + other.good, self.total + other.total)


class Verdict(StrEnum):
    MET = "met"
    BROKEN = "broken"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """NO_DATA when too few requests fell into the window: neither met nor broken."""

    verdict: Verdict
    by_sli: Mapping[Sli, Verdict]


class Urgency(StrEnum):
    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Both windows must burn faster than `rate`; the short one ends the alert when the trouble ends. Seconds."""

    rate: float
    long: int
    short: int
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class BurnAlert:
    rule: BurnRule
    long_rate: float
    short_rate: float


# Google's SRE workbook, "Alerting on SLOs": 2 %, 5 % and 10 % of a 30-day budget
BURN_RULES = (
    BurnRule(14.4, 3600, 300, Urgency.PAGE),
    BurnRule(6.0, 21_600, 1800, Urgency.PAGE),
    BurnRule(1.0, 259_200, 21_600, Urgency.TICKET),
)
BURN_WINDOWS = (300, 1800, 3600, 21_600, 259_200)
MIN_EVENTS, MIN_BAD = 10, 3


def objectives(
    *, ttft: float = 7.0, e2e: float = 20.0, error_rate: float = 0.005, qps: float | None = None
) -> tuple[Objective, ...]:
    """The product's defaults; QPS is an objective of gate runs only, since clients decide how much they ask."""
    found = (
        Objective(Sli.TTFT, 0.95, ttft),
        Objective(Sli.E2E, 0.95, e2e),
        Objective(Sli.SUCCESS, 1 - error_rate),
    )
    return found if qps is None else (*found, Objective(Sli.QPS, 0.9, qps))


def judge_window(
    counts: Mapping[Sli, Count],
    asked: Sequence[Objective],
    *,
    min_count: int = 1,
    served_per_second: float | None = None,
) -> WindowVerdict:
    """One window against every objective that has data; a single broken one breaks it."""
    by_sli = {item.sli: _judge(item, counts.get(item.sli), min_count, served_per_second) for item in asked}
    verdicts = set(by_sli.values())
    whole = (
        Verdict.BROKEN if Verdict.BROKEN in verdicts else Verdict.MET if Verdict.MET in verdicts else Verdict.NO_DATA
    )
    return WindowVerdict(whole, by_sli)


def met_share(verdicts: Sequence[WindowVerdict]) -> float | None:
    """Share of met windows among those with data; None when none had any."""
    judged = [item.verdict for item in verdicts if item.verdict is not Verdict.NO_DATA]
    return judged.count(Verdict.MET) / len(judged) if judged else None


def burn_rate(count: Count, target: float) -> float | None:
    """How many times faster than allowed the error budget is spent; 1 spends it exactly. None without data."""
    share = count.bad_share
    budget = 1 - target
    if share is None:
        return None
    if budget <= 0:
        return 0.0 if share == 0 else float("inf")
    return share / budget


def budget_left(count: Count, target: float) -> float | None:
    """Share of the window's error budget that is left; negative when overspent, None without data."""
    rate = burn_rate(count, target)
    return None if rate is None else 1 - rate


def burn_alerts(
    counts: Mapping[int, Count], target: float, rules: Sequence[BurnRule] = BURN_RULES
) -> tuple[BurnAlert, ...]:
    """Rules that fire. `counts` maps window length in seconds to its counters; a window that is absent fires none."""
    fired = []
    for rule in rules:
        short = counts.get(rule.short, Count(0, 0))
        long_rate = burn_rate(counts.get(rule.long, Count(0, 0)), target)
        short_rate = burn_rate(short, target)
        if long_rate is None or short_rate is None or not _enough(short):
            continue
        if long_rate >= rule.rate and short_rate >= rule.rate:
            fired.append(BurnAlert(rule, long_rate, short_rate))
    return tuple(fired)


def _enough(count: Count) -> bool:
    return count.total >= MIN_EVENTS or count.total - count.good >= MIN_BAD


def _judge(item: Objective, count: Count | None, min_count: int, served: float | None) -> Verdict:
    if item.sli is Sli.QPS:
        if served is None or item.limit is None:
            return Verdict.NO_DATA
        return Verdict.MET if served >= item.target * item.limit else Verdict.BROKEN
    if count is None or count.total < max(1, min_count):
        return Verdict.NO_DATA
    # in whole requests, so that 95 of 100 meets 0.95 whatever floats say
    return Verdict.MET if count.good >= item.target * count.total - 1e-9 else Verdict.BROKEN
