"""What the rules see of one member of a route: its engine, replicas and why it may not be used. Pure."""

from engines.adapters import get_adapter
from engines.client import BEST_EFFORT, Answer
from routing.decision import SOFT, Candidate, Loads, Reason, ReplicaLoad, RequestFacts
from routing.lease import TRIPPED
from routing.policies.least_outstanding import IDLE
from routing.table import EngineEntry, EngineState, Health, Member, ReplicaEntry, Role


class View:
    """One member as one request sees it. `good` replicas are in rotation with room; only fail open may use `soft` ones.

    A plain class: a frozen dataclass of this size costs more to make than the decision it is made for.
    """

    __slots__ = ("detail", "engine", "good", "member", "outstanding", "reasons", "score", "soft", "stable")

    def __init__(self, member: Member, engine: EngineEntry) -> None:
        self.member = member
        self.engine = engine
        self.good: list[ReplicaEntry] = []
        self.soft: list[ReplicaEntry] = []
        self.score: float | None = None
        self.outstanding = 0
        self.reasons: list[Reason] = []
        self.detail = ""
        # May be reached by preference, fallback and fail open: never a canary, nothing out, no weight 0.
        self.stable = not member.canary and (
            member.role is Role.STANDBY or (member.role is Role.SPLIT and member.weight > 0)
        )

    @property
    def eligible(self) -> bool:
        return not self.reasons

    def usable(self) -> list[ReplicaEntry]:
        return self.good or self.soft

    def candidate(self) -> Candidate:
        member = self.member
        reasons = self.reasons
        if member.role is Role.OUT:
            reasons = [*reasons, Reason.OUT_OF_ROUTE]
        elif member.withheld:
            reasons = [*reasons, Reason.TRIPPED if member.withheld == TRIPPED else Reason.LEASE_EXPIRED]
        elif member.weight <= 0 and member.role is Role.SPLIT:
            reasons = [*reasons, Reason.WEIGHT_ZERO]
        return Candidate(member.engine, member.role, member.weight, self.score, tuple(reasons), self.detail)


def survey(
    member: Member, facts: RequestFacts, engine: EngineEntry, *, health: Health, loads: Loads, now: float
) -> View:
    view = View(member, engine)
    reasons: list[Reason] = []
    for replica in engine.replicas:
        load = loads.get(replica.id, IDLE)
        seen = health.replicas.get(replica.id)
        view.outstanding += load.in_flight_tokens
        if seen is not None and (view.score is None or seen.score > view.score):
            view.score = seen.score
        reason = _replica_reason(engine, load, in_rotation=seen.in_rotation if seen else None, now=now)
        if reason is None:
            view.good.append(replica)
        else:
            reasons.append(reason)
            if reason in SOFT:
                view.soft.append(replica)
    _add_engine_reasons(view, facts)
    if not view.good:
        view.reasons.extend(_worst(reasons, any_soft=bool(view.soft)))
    return view


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
        return [reason for reason in distinct if reason in SOFT]
    return distinct


def _add_engine_reasons(view: View, facts: RequestFacts) -> None:
    engine = view.engine
    if engine.state is EngineState.DISABLED:
        view.reasons.append(Reason.DISABLED)
    elif engine.state is EngineState.DRAINING:
        view.reasons.append(Reason.DRAINING)
    missing = _missing(engine, facts) if facts.features else []
    if missing:
        view.reasons.append(Reason.LACKS_FEATURE)
        view.detail = f"lacks {', '.join(missing)}"
    if engine.context_length is not None and facts.required_context > engine.context_length:
        view.reasons.append(Reason.CONTEXT_TOO_SHORT)
        short = f"its context of {engine.context_length} tokens is shorter than {facts.required_context}"
        view.detail = f"{view.detail}; {short}" if view.detail else short


def _missing(engine: EngineEntry, facts: RequestFacts) -> list[str]:
    """Unknown support counts as support: the engine refuses by itself where it lacks the feature."""
    adapter = get_adapter(engine.kind)
    return sorted(
        feature.value
        for feature in facts.features - BEST_EFFORT
        if adapter.supports(feature, engine.features).answer is Answer.NO
    )
