"""What the rules see of one member of a route: its engine, replicas and why it may not be used. Pure."""

from dataclasses import dataclass

from engines.adapters import get_adapter
from engines.client import BEST_EFFORT, Answer
from routing.decision import Candidate, Loads, Reason, ReplicaLoad, RequestFacts
from routing.policies.least_outstanding import IDLE
from routing.table import EngineEntry, EngineState, Health, Member, ReplicaEntry, Role


@dataclass(frozen=True, slots=True)
class View:
    """`good` are the replicas in rotation with room; `soft` those that only fail open may use."""

    member: Member
    engine: EngineEntry
    good: tuple[ReplicaEntry, ...]
    soft: tuple[ReplicaEntry, ...]
    score: float | None
    outstanding: int
    reasons: tuple[Reason, ...]
    detail: str = ""

    @property
    def eligible(self) -> bool:
        return not self.reasons

    @property
    def stable(self) -> bool:
        """May be reached by preference, fallback and fail open: never a canary, nothing out, no weight 0."""
        member = self.member
        if member.canary:
            return False
        return member.role is Role.STANDBY or (member.role is Role.SPLIT and member.weight > 0)

    def usable(self) -> tuple[ReplicaEntry, ...]:
        return self.good or self.soft

    def candidate(self) -> Candidate:
        member = self.member
        reasons = self.reasons
        if member.role is Role.OUT:
            reasons = (*reasons, Reason.OUT_OF_ROUTE)
        elif member.role is Role.SPLIT and member.weight <= 0:
            reasons = (*reasons, Reason.WEIGHT_ZERO)
        return Candidate(member.engine, member.role.value, member.weight, self.score, reasons, self.detail)


def survey(
    member: Member, facts: RequestFacts, engine: EngineEntry, *, health: Health, loads: Loads, now: float
) -> View:
    good: list[ReplicaEntry] = []
    soft: list[ReplicaEntry] = []
    reasons: list[Reason] = []
    scores: list[float] = []
    outstanding = 0
    for replica in engine.replicas:
        load = loads.get(replica.id, IDLE)
        seen = health.replicas.get(replica.id)
        outstanding += load.in_flight_tokens
        if seen is not None:
            scores.append(seen.score)
        reason = _replica_reason(engine, load, in_rotation=seen.in_rotation if seen else None, now=now)
        if reason is None:
            good.append(replica)
        else:
            reasons.append(reason)
            if reason in (Reason.UNHEALTHY, Reason.SATURATED):
                soft.append(replica)
    found, detail = _engine_reasons(engine, facts)
    if not good:
        found.extend(_worst(reasons, any_soft=bool(soft)))
    return View(member, engine, tuple(good), tuple(soft), max(scores, default=None), outstanding, tuple(found), detail)


def _replica_reason(engine: EngineEntry, load: ReplicaLoad, *, in_rotation: bool | None, now: float) -> Reason | None:
    if in_rotation is None:
        return Reason.NEVER_PROBED
    if load.tripped:
        return Reason.TRIPPED
    if load.in_flight >= engine.max_in_flight:
        return Reason.IN_FLIGHT_CAP
    if not in_rotation:
        return Reason.UNHEALTHY
    if load.saturated_until > now:
        return Reason.SATURATED
    return None


def _worst(reasons: list[Reason], *, any_soft: bool) -> list[Reason]:
    """The reasons of an engine without a good replica: soft ones alone if any replica has only such."""
    if not reasons:
        return [Reason.NO_REPLICA]
    distinct = list(dict.fromkeys(reasons))
    if any_soft:
        return [reason for reason in distinct if reason in (Reason.UNHEALTHY, Reason.SATURATED)]
    return distinct


def _engine_reasons(engine: EngineEntry, facts: RequestFacts) -> tuple[list[Reason], str]:
    found: list[Reason] = []
    detail = ""
    if engine.state is EngineState.DISABLED:
        found.append(Reason.DISABLED)
    elif engine.state is EngineState.DRAINING:
        found.append(Reason.DRAINING)
    if facts.features:
        missing = _missing(engine, facts)
        if missing:
            found.append(Reason.LACKS_FEATURE)
            detail = f"lacks {', '.join(missing)}"
    if engine.context_length is not None and facts.required_context > engine.context_length:
        found.append(Reason.CONTEXT_TOO_SHORT)
        short = f"its context of {engine.context_length} tokens is shorter than {facts.required_context}"
        detail = f"{detail}; {short}" if detail else short
    return found, detail


def _missing(engine: EngineEntry, facts: RequestFacts) -> list[str]:
    """Unknown support counts as support: the engine refuses by itself where it lacks the feature."""
    adapter = get_adapter(engine.kind)
    return sorted(
        feature.value
        for feature in facts.features - BEST_EFFORT
        if adapter.supports(feature, engine.features).answer is Answer.NO
    )
