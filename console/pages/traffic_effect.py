"""What a proposed split would do: old and new shares, who would answer by the rules, and verdicts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engines.models import Engine
from routing.decision import RequestFacts, Unroutable
from routing.publish import load_health, table_in_force
from routing.rules import decide
from routing.table import (
    EngineState,
    Health,
    Member,
    Role,
    RouteEntry,
    Table,
    from_json,
    health_from_json,
)

# Enough keys for whole points, few enough for a fragment that answers while somebody types.
KEYS = 1000
NOBODY = ""
BIG_STEP = 25


class Grade(StrEnum):
    PASS = "pass"  # noqa: S105
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Verdict:
    grade: Grade
    sentence: str
    rule: str


@dataclass(frozen=True, slots=True)
class ShareChange:
    """`answered` is the share in per cent that the engine would answer with health as it is now."""

    engine: Engine
    before: int
    after: int
    answered: float


@dataclass(frozen=True, slots=True)
class Effect:
    changes: Sequence[ShareChange]
    nobody: float
    verdicts: Sequence[Verdict]

    @property
    def blocked(self) -> bool:
        return any(verdict.grade is Grade.BLOCK for verdict in self.verdicts)


def effect(route: str, members: Sequence[Member], current: Sequence[Member], engines: Sequence[Engine]) -> Effect:
    """What `members` would do in place of `current`, by the rules and the health of this moment."""
    named = {engine.name: engine for engine in engines}
    table, health = in_force()
    answers = answered(_with_members(table, route, members), health, route)
    before = {member.engine: member.weight for member in current}
    after = {member.engine: member.weight for member in members}
    changes = [
        ShareChange(named[name], before.get(name, 0), after.get(name, 0), answers[name])
        for name in dict.fromkeys([*after, *before])
        if name in named
    ]
    return Effect(changes, answers[NOBODY], verdicts(members, current, named, answers, health))


def in_force() -> tuple[Table, Health]:
    table, health = table_in_force(), load_health(-1)
    return (
        from_json(table.body) if table else Table(version=0),
        health_from_json(health) if health else Health(sequence=0, at=0.0),
    )


def answered(table: Table, health: Health, route: str) -> Counter[str]:
    """Per cent of ordinary requests that each engine would answer, by asking the rules; NOBODY for refusals."""
    shares: Counter[str] = Counter()
    for number in range(KEYS):
        key = f"preview-{number}"
        facts = RequestFacts(
            request_id=key,
            route=route,
            input_tokens=1,
            tokens_estimated=False,
            required_context=1,
            sticky_key=key,
            sticky_unit="request",
        )
        try:
            name = decide(facts, table, health, {}, health.at).engine
        except Unroutable:
            name = NOBODY
        shares[name] += 1
    for name in shares:
        shares[name] = round(shares[name] * 100 / KEYS)
    return shares


def without(table: Table, engine: str) -> Table:
    """The table with the engine draining, to see where its share would go."""
    entry = replace(table.engines[engine], state=EngineState.DRAINING)
    return replace(table, engines={**table.engines, engine: entry})


def verdicts(
    members: Sequence[Member],
    current: Sequence[Member],
    engines: Mapping[str, Engine],
    answers: Mapping[str, float],
    health: Health,
) -> list[Verdict]:
    """The worst first. Pure."""
    had = {member.engine: member.weight for member in current}
    found = [_step(members, had), _coverage(answers)]
    for member in members:
        found.append(_state(member, had.get(member.engine, 0), engines[member.engine]))
        found.append(_health(member, engines[member.engine], health))
    order = [Grade.BLOCK, Grade.WARN, Grade.PASS]
    return sorted(filter(None, found), key=lambda verdict: order.index(verdict.grade))


def _step(members: Sequence[Member], had: Mapping[str, int]) -> Verdict | None:
    if not had:
        return None
    raised = max(members, key=lambda member: member.weight - had.get(member.engine, 0))
    points = raised.weight - had.get(raised.engine, 0)
    if points >= BIG_STEP:
        return Verdict(Grade.WARN, f"{raised.engine} gains {points} points at once.", "step-25")
    return Verdict(Grade.PASS, f"No engine gains {BIG_STEP} points or more at once.", "step-25")


def _coverage(answers: Mapping[str, float]) -> Verdict | None:
    share = answers.get(NOBODY, 0)
    if not share:
        return Verdict(Grade.PASS, "Every ordinary request finds an engine that can answer now.", "coverage")
    return Verdict(Grade.WARN, f"{share:g} % of requests would be refused with 503 now.", "coverage")


def _state(member: Member, had: int, engine: Engine) -> Verdict | None:
    if not member.weight or engine.state == Engine.State.ACTIVE:
        return None
    if engine.state == Engine.State.DISABLED:
        grade = Grade.BLOCK if member.weight > had else Grade.WARN
        return Verdict(grade, f"{engine.name} is disabled. Enable it before it gets traffic.", "engine-enabled")
    return Verdict(Grade.WARN, f"{engine.name} is draining: others answer its share until undrained.", "engine-enabled")


def _health(member: Member, engine: Engine, health: Health) -> Verdict | None:
    if not member.weight:
        return None
    seen = [health.replicas[replica.pk] for replica in engine.replicas.all() if replica.pk in health.replicas]
    if not seen:
        return Verdict(Grade.WARN, f"{engine.name} was never probed.", "engine-health")
    inside = sum(replica.in_rotation for replica in seen)
    score = max(replica.score for replica in seen)
    if not inside:
        return Verdict(Grade.WARN, f"{engine.name} is out of rotation at {score:.2f}.", "engine-health")
    return Verdict(
        Grade.PASS,
        f"{engine.name} is in rotation: {inside} of {len(seen)} replicas, score {score:.2f}.",
        "engine-health",
    )


def _with_members(table: Table, route: str, members: Sequence[Member]) -> Table:
    old = table.routes.get(route) or RouteEntry(name=route, revision=0, salt="preview", members=())
    return replace(table, routes={**table.routes, route: replace(old, members=tuple(members))})


def headline(members: Sequence[Member], current: Sequence[Member]) -> str:
    """The change in one line for a button: the engine that gains most, else the one that loses most."""
    had = {member.engine: member.weight for member in current}
    now = {member.engine: member.weight for member in members}
    moved = [(now.get(name, 0) - had.get(name, 0), name) for name in {**had, **now}]
    canaries = {member.engine for member in [*members, *current] if member.canary}
    gains = [pair for pair in moved if pair[0] and pair[1] in canaries] or [pair for pair in moved if pair[0]]
    if not gains:
        return ""
    _points, name = max(gains, key=lambda pair: (abs(pair[0]), pair[0]))
    return f"{name} {had.get(name, 0)} % → {now.get(name, 0)} %"


def in_words(members: Sequence[Member]) -> str:
    """A split in a sentence: alpha 90 %, beta 10 %, gamma standby."""
    return ", ".join(
        f"{member.engine} {member.weight} %" if member.role is Role.SPLIT else f"{member.engine} {member.role}"
        for member in members
    )
