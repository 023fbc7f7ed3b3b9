"""What a policy can and cannot show before anything is sent: the chance to pass against the true rate, exactly. Pure.

Requests are taken as independent; bursts make every sample weaker than these figures say.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gates import stats
from gates.findings import SLOW_SHARE
from gates.policy import Phase, Policy
from gates.rules import failures_allowed, slow_allowed
from gates.verdict import ObjectiveName
from gates.wording import number, percent, plural, seconds

POINTS = 61


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """`rates` are true shares of misses, `passes` the chance that the literal rule passes; `share` is the limit.

    n of STEP is its fewest requests. `allowed` misses pass, `proven` still prove (None: none can), `refuted` refute.
    """

    phase: Phase
    objective: ObjectiveName
    n: int
    allowed: int
    share: float
    proven: int | None
    refuted: int
    rates: tuple[float, ...]
    passes: tuple[float, ...]
    sentences: tuple[str, ...]


def curves(policy: Policy) -> list[Curve]:
    """One per objective that is a share of requests, in every phase."""
    shares = (ObjectiveName.TTFT_P95, ObjectiveName.E2E_P95, ObjectiveName.ERROR_RATE)
    found = [curve(policy, phase, name) for phase in policy.phases for name in shares]
    return [*found, window_curve(policy)] if policy.soak else found


def curve(policy: Policy, phase: Phase, objective: ObjectiveName) -> Curve:
    """Of a latency objective or the error rate."""
    is_error = objective == ObjectiveName.ERROR_RATE
    share = policy.objectives.error_rate if is_error else SLOW_SHARE
    n = fewest(policy, phase, pooled=is_error)
    allowed = failures_allowed(n, share) if is_error else slow_allowed(n)
    rates = _rates(4 * share if is_error else 3 * share)
    proven = stats.most_proven(n, share)
    chance = _chance(n, allowed)
    say = _errors_say if is_error else _latency_says
    return Curve(
        phase=phase,
        objective=objective,
        n=n,
        allowed=allowed,
        share=share,
        proven=proven,
        refuted=stats.fewest_refuted(n, share),
        rates=rates,
        passes=tuple(chance(rate) for rate in rates),
        sentences=tuple(say(policy, phase, objective, n) + _odds(share, chance)),
    )


def window_curve(policy: Policy) -> Curve:
    """Against the true share of requests that are too slow. Raises ValueError for a policy without SOAK."""
    if policy.soak is None:
        raise ValueError("windows need a SOAK")
    each = round(policy.soak.rate * policy.window_seconds)
    total = max(1, int(policy.soak.seconds // policy.window_seconds))
    share = float(1 - stats.exact(policy.objectives.windows_met))
    allowed = int(total * (1 - stats.exact(policy.objectives.windows_met)))
    met, enough = _chance(each, slow_allowed(each)), each >= policy.window_minimum
    rates = _rates(2 * SLOW_SHARE)
    return Curve(
        phase=Phase.SOAK,
        objective=ObjectiveName.WINDOWS_MET,
        n=total,
        allowed=allowed,
        share=share,
        proven=stats.most_proven(total, share),
        refuted=stats.fewest_refuted(total, share),
        rates=rates,
        passes=tuple(stats.at_most(allowed, total, 1 - met(rate)) if enough else 0.0 for rate in rates),
        sentences=_windows_say(policy, each, total, met),
    )


def fewest(policy: Policy, phase: Phase, *, pooled: bool) -> int:
    """Requests that are judged together: what is planned; for STEP the fewest (all levels pooled, or the top one)."""
    if phase == Phase.STEP and policy.step is not None:
        return policy.step.level_completions * (len(policy.step.levels) if pooled else 1)
    return int(getattr(policy, phase.value).planned)


def warnings(policy: Policy) -> list[str]:
    """What no run of this policy can show, in sentences for the editor."""
    limit = policy.objectives.error_rate
    fixed = {phase: fewest(policy, phase, pooled=True) for phase in policy.phases if phase != Phase.STEP}
    told = [_never(phase, n, limit) for phase, n in fixed.items() if stats.most_proven(n, limit) is None]
    if len(told) == len(fixed):
        told.append(f"No phase with a planned number of requests can prove an error rate under {percent(limit)}.")
    tops = {phase: fewest(policy, phase, pooled=False) for phase in policy.phases}
    told += [_too_few(phase, n) for phase, n in tops.items() if stats.most_proven(n, SLOW_SHARE) is None]
    if policy.soak and policy.soak.seconds <= policy.window_seconds:
        told.append("SOAK is a single window: windows met repeats its P95 rules and says nothing about steadiness.")
    return told


def _errors_say(policy: Policy, phase: Phase, _name: ObjectiveName, n: int) -> list[str]:
    limit = policy.objectives.error_rate
    proven = stats.most_proven(n, limit)
    if proven is None:
        return [_never(phase, n, limit)]
    return [
        f"{_where(phase, n)} proves an error rate under {percent(limit)} with at most {plural(proven, 'failure')}; "
        f"the verdict allows {failures_allowed(n, limit):,}."
    ]


def _latency_says(policy: Policy, phase: Phase, name: ObjectiveName, n: int) -> list[str]:
    proven, limit = stats.most_proven(n, SLOW_SHARE), seconds(getattr(policy.objectives, name.value))
    if proven is None:
        return [_too_few(phase, n)]
    return [
        f"{_where(phase, n)} proves P95 ≤ {limit} with at most {proven:,} over it; the verdict allows "
        f"{slow_allowed(n):,}."
    ]


def _where(phase: Phase, n: int) -> str:
    return f"{phase.upper()} with {'its fewest ' if phase == Phase.STEP else ''}{n:,} requests"


def _too_few(phase: Phase, n: int) -> str:
    return f"{_where(phase, n)} cannot prove a P95: {stats.floor(SLOW_SHARE)} are needed."


def _never(phase: Phase, n: int, limit: float) -> str:
    verb = "cannot" if phase == Phase.STEP else "alone can never"
    start = _where(phase, n) if phase == Phase.STEP else phase.upper()
    return (
        f"{start} {verb} prove an error rate under {percent(limit)}: {n:,} requests without a failure "
        f"only show under {percent(stats.upper(0, n))} (95 %); proof takes {stats.floor(limit) or 0:,}."
    )


def _odds(share: float, chance: Callable[[float], float]) -> list[str]:
    good, bad = share / 2, min(1.0, share * 2)
    return [
        f"At a true {percent(good)}, half the limit, a run is held {_of_the_time(1 - chance(good))}; "
        f"at {percent(bad)}, twice the limit, it still passes {_of_the_time(chance(bad))}."
    ]


def _of_the_time(chance: float) -> str:
    if chance < 0.001:
        return "less than 0.1 % of the time"
    return f"{'more than 99.9' if chance > 0.999 else number(chance * 100, 1)} % of the time"


def _windows_say(policy: Policy, each: int, total: int, met: Callable[[float], float]) -> tuple[str, ...]:
    if each < policy.window_minimum:
        return (
            f"A window holds {each:,} requests, {policy.window_minimum:,} are needed: it can never be judged. "
            "Raise the rate or lower the minimum.",
        )
    fraction = policy.objectives.windows_met
    implied = _last(lambda rate: met(rate) >= fraction)
    told = (
        f"{percent(fraction)} of windows of {each:,} requests met asks for a true share of slow requests of at most "
        f"{percent(round(implied, 4))}, where P95 alone asks for 5 %.",
    )
    return told if total > 1 else (*told, "With one window it repeats the P95 rules and says nothing about steadiness.")


def _chance(n: int, allowed: int) -> Callable[[float], float]:
    return lambda rate: stats.at_most(allowed, n, rate)


def _rates(top: float) -> tuple[float, ...]:
    top = min(1.0, top)
    return tuple(round(top * at / (POINTS - 1), 6) for at in range(POINTS))


def _last(holds: Callable[[float], bool]) -> float:
    """Largest rate at which a falling condition holds."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
