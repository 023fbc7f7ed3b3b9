"""The words of judging and the values that a judgement consists of. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Only PASSED can promote. INVALID: the evidence is unusable, which is never the engine's fault."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    ERRORED = "errored"
    CANCELLED = "cancelled"


# What wins when several apply, worst first.
SEVERITY = (
    Verdict.CANCELLED,
    Verdict.ERRORED,
    Verdict.INVALID,
    Verdict.FAILED,
    Verdict.INCONCLUSIVE,
    Verdict.PASSED,
)


class Grade(StrEnum):
    """How strong the evidence is, beside the verdict and never blended with it (gates.md 2.3)."""

    PROVEN = "proven"
    CONSISTENT = "consistent"
    DOUBTFUL = "doubtful"
    REFUTED = "refuted"
    THIN = "thin"


class ObjectiveName(StrEnum):
    TTFT_P95 = "ttft_p95"
    E2E_P95 = "e2e_p95"
    ERROR_RATE = "error_rate"
    QPS = "qps"
    WINDOWS_MET = "windows_met"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objective in one phase. `value` None stands for +inf (or no data when n is 0); times in seconds.

    `scope` says what was judged: pool, level 16, phase. `margin` is (limit − value) / limit, signed so that
    positive is good; None when the value is not finite. `grade` None where grading makes no sense (QPS, windows).
    """

    phase: str
    objective: ObjectiveName
    scope: str
    value: float | None
    limit: float
    n: int
    exceedances: int
    verdict: Verdict
    grade: Grade | None
    margin: float | None
    sentence: str
    what_would_change: str
    design_effect: float | None = None
    more_needed: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorHealth:
    """The load generator's own limits for one phase; breaches make a run INVALID. Times in seconds."""

    phase: str
    lag_p99: float | None
    lag_max: float | None
    loop_lag_p99: float | None
    achieved_ratio: float | None
    cpu_share: float | None
    not_sent: int
    clock_drift: float | None = None
    breaches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnd:
    """How a phase ended. `curtailed` names the objective that could no longer pass, or is empty."""

    phase: str
    attempt: int
    complete: bool
    seconds: float
    planned: int
    curtailed: str = ""
    level_seconds: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The pure result of samples, policy, generator health and phase ends. `digest` seals all of it."""

    verdict: Verdict
    reason: str
    findings: Sequence[Finding]
    generator: Sequence[GeneratorHealth]
    phases: Sequence[PhaseEnd]
    policy_digest: str
    plan_digest: str
    samples_digest: str
    digest: str
