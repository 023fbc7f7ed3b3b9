"""The routing rules: which engine answers a request, and why. Pure: values and `now` in, a Decision out.

In order: explicit engine, long input or big model, split, fallback, fail open. `preferred_kind` of the
settings never outweighs a split; it leads the fallback order, and so decides where a route has no weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from routing.candidates import View, survey
from routing.decision import SOFT, Candidate, Decision, Loads, Reason, RequestFacts, Rule, Unroutable
from routing.policies.choice import Choice, choose
from routing.policies.least_outstanding import rank
from routing.policies.prefix_affinity import Placed
from routing.split import assign, draw
from routing.table import Health, Member, Role, RouteEntry, Table

# Kinds that long inputs and big models prefer, best first; and the kind that fallback tries first.
PREFERRED_KINDS = ("vllm", "trtllm")
FALLBACK_KINDS = ("custom",)

CAPABILITY = frozenset({Reason.LACKS_FEATURE, Reason.CONTEXT_TOO_SHORT})
OVERLOAD = frozenset({Reason.IN_FLIGHT_CAP, Reason.SATURATED})
NOTHING_PLACED: Mapping[int, int] = {}


@dataclass(frozen=True, slots=True)
class _Case:
    """One request with everything known about the members of its route."""

    facts: RequestFacts
    table: Table
    health: Health
    loads: Loads
    placed: Placed
    now: float
    route: RouteEntry
    views: dict[str, View]
    bucket: int
    second: int


def decide(
    facts: RequestFacts, table: Table, health: Health, loads: Loads, now: float, *, placed: Placed = NOTHING_PLACED
) -> Decision:
    """Raises Unroutable when no engine may answer."""
    route = table.routes.get(facts.route)
    if route is None:
        raise Unroutable(
            status=404,
            code="model_not_found",
            param="model",
            message=f"The model '{facts.route}' does not exist or this key may not use it.",
        )
    bucket, second = draw(route.salt, facts.sticky_key)
    views = {
        member.engine: survey(member, facts, table.engines[member.engine], health=health, loads=loads, now=now)
        for member in route.members
        if member.engine in table.engines
    }
    case = _Case(facts, table, health, loads, placed, now, route, views, bucket, second)
    if facts.explicit_engine is not None:
        return _explicit(case, facts.explicit_engine)
    return _preferred(case) or _by_split(case)


def _explicit(case: _Case, name: str) -> Decision:
    """The named engine alone, whatever its role; a soft reason does not stop who asks for it by name."""
    view = case.views.get(name)
    if view is None:
        raise Unroutable(
            status=404,
            code="engine_not_found",
            param="x-engine",
            message=f"The route '{case.route.name}' has no engine named '{name}'.",
            candidates=_candidates(case),
        )
    hard = [reason for reason in view.reasons if reason not in SOFT]
    if hard:
        raise _refusal(case, [view], f"This engine cannot answer. {_words(view)}.")
    return _decision(case, Rule.EXPLICIT, [view], None, f"The request named {name} in x-engine.", only=True)


def _preferred(case: _Case) -> Decision | None:
    """Long inputs and big models go to the preferred kinds, among baseline and standby engines only."""
    stable = _stable(case)
    if case.facts.input_tokens > case.table.settings.long_input_tokens:
        rule, why = Rule.LONG_INPUT, _long(case)
    elif any(view.engine.big_model for view in stable):
        rule, why = Rule.BIG_MODEL, "the model is a big one"
        stable = [view for view in stable if view.engine.big_model]
    else:
        return None
    able = [view for view in stable if view.eligible and view.engine.kind in PREFERRED_KINDS]
    if not able:
        return None
    able.sort(key=lambda view: (PREFERRED_KINDS.index(view.engine.kind), view.outstanding, view.engine.name))
    best = able[0].engine
    return _decision(case, rule, [able[0], *_fallbacks(case)], None, f"{best.name} is of kind {best.kind} and {why}.")


def _long(case: _Case) -> str:
    return f"{case.facts.input_tokens} input tokens are more than {case.table.settings.long_input_tokens}"


def _missed(case: _Case) -> str:
    """Why a preference that this request or route has came to nothing. Empty where there is none to speak of."""
    missed = [view for view in _stable(case) if view.engine.kind in PREFERRED_KINDS and view.reasons]
    if case.facts.input_tokens > case.table.settings.long_input_tokens:
        why = _long(case)
    else:
        missed = [view for view in missed if view.engine.big_model]
        why = "The model is a big one"
    return f"{why}, but {'; '.join(map(_words, missed))}. " if missed else ""


def _by_split(case: _Case) -> Decision:
    member = assign(case.route.members, case.bucket, case.second)
    arm = case.views.get(member.engine) if member else None
    if arm is not None and CAPABILITY.intersection(arm.reasons):
        member = None  # a request the arm cannot serve is no part of the experiment
    fallbacks = _fallbacks(case)
    missed = _missed(case)
    if arm is not None and arm.eligible:
        why = f"{missed}Bucket {case.bucket} of the split belongs to {arm.engine.name}."
        return _decision(case, Rule.SPLIT, [arm, *fallbacks], member, why)
    if fallbacks:
        name = fallbacks[0].engine.name
        why = f"{_words(arm)}, so {name} is next." if arm else f"No weight covers this key, so {name} is first."
        return _decision(case, Rule.FALLBACK, fallbacks, member, missed + why)
    open_ = [view for view in _stable(case) if SOFT.issuperset(view.reasons)]
    if open_:
        open_.sort(key=lambda view: (-(view.score or 0.0), view.outstanding, view.engine.name))
        why = f"No engine is in good health; {open_[0].engine.name} is the best of them."
        return _decision(case, Rule.FAIL_OPEN, open_, member, missed + why)
    raise _refusal(
        case,
        [*_stable(case), *([arm] if arm and arm.member.canary else [])],
        f"No engine can answer for '{case.route.name}' now.",
    )


def _stable(case: _Case) -> list[View]:
    """The members that rules other than split and explicit may use: no canary, nothing out, no weight 0."""
    return [view for view in case.views.values() if view.stable]


def _fallbacks(case: _Case) -> list[View]:
    setting = case.table.settings.preferred_kind
    kinds = (*([] if setting == "auto" else [setting]), *FALLBACK_KINDS, *PREFERRED_KINDS)

    def order(view: View) -> tuple[int, bool, int, str]:
        kind = view.engine.kind
        place = kinds.index(kind) if kind in kinds else len(kinds)
        return place, view.member.role is not Role.SPLIT, view.outstanding, view.engine.name

    able = [view for view in case.views.values() if view.stable and not view.reasons]
    return sorted(able, key=order) if len(able) > 1 else able


def _decision(
    case: _Case, rule: Rule, views: Sequence[View], arm: Member | None, why: str, *, only: bool = False
) -> Decision:
    facts, chosen = case.facts, _chosen(case, views[0])
    return Decision(
        route=case.route.name,
        rule=rule,
        order=_order(case, views, chosen, only=only),
        arm=arm.engine if arm else None,
        canary=bool(arm and arm.canary),
        bucket=case.bucket,
        sticky_unit=facts.sticky_unit,
        why=why,
        candidates=_candidates(case),
        table_version=case.table.version,
        health_sequence=case.health.sequence,
        input_tokens=facts.input_tokens,
        tokens_estimated=facts.tokens_estimated,
        policy=chosen.policy.value,
        policy_why=chosen.why,
        beginnings=chosen.beginnings,
    )


def _chosen(case: _Case, view: View) -> Choice:
    return choose(
        view.engine,
        view.usable(),
        case.facts,
        loads=case.loads,
        placed=case.placed,
        settings=case.table.settings,
        tie=case.second,
        now=case.now,
    )


def _order(case: _Case, views: Sequence[View], chosen: Choice, *, only: bool) -> tuple[tuple[str, int], ...]:
    """The chosen engine's best replica, the best of each other engine, then its own further replicas."""
    first = views[0]
    own = [(first.engine.name, replica.id) for replica in chosen.order]
    if only or len(views) == 1:
        return tuple(own)
    others = [
        (view.engine.name, rank(view.usable(), case.facts, case.loads, tie=case.second, now=case.now)[0].id)
        for view in views[1:]
        if view is not first
    ]
    return (own[0], *others, *own[1:])


def _candidates(case: _Case) -> tuple[Candidate, ...]:
    return tuple(view.candidate() for view in case.views.values())


def _words(view: View) -> str:
    reasons = ", ".join(reason.value.replace("_", " ") for reason in view.reasons)
    return f"{view.engine.name}: {reasons}" + (f" ({view.detail})" if view.detail else "")


def _refusal(case: _Case, views: Sequence[View], message: str) -> Unroutable:
    """400 when no engine would do even in good health, else 503 that may be tried again."""
    candidates = _candidates(case)
    if views and all(CAPABILITY.intersection(view.reasons) for view in views):
        missing = "; ".join(f"{view.engine.name}: {view.detail}" for view in views)
        too_long = all(Reason.CONTEXT_TOO_SHORT in view.reasons for view in views)
        code = "context_length_exceeded" if too_long else "unsupported_feature"
        return Unroutable(
            status=400,
            code=code,
            message=f"No engine of '{case.route.name}' can do this. {missing}.",
            candidates=candidates,
        )
    able = [view for view in views if not CAPABILITY.intersection(view.reasons)]
    full = bool(able) and all(OVERLOAD.intersection(view.reasons) for view in able)
    return Unroutable(
        status=503, code="overloaded" if full else "no_healthy_engine", message=message, candidates=candidates
    )
