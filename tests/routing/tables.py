"""Small routing tables for tests: one line says which engines a route has and how they are."""

from dataclasses import replace

from engines.client import Feature
from routing.decision import RequestFacts
from routing.table import (
    EngineEntry,
    EngineState,
    Health,
    Member,
    ReplicaEntry,
    ReplicaHealth,
    Role,
    RouteEntry,
    Settings,
    Table,
)

NOW = 1_000_000.0


def engine(
    name: str,
    number: int,
    *,
    kind: str = "custom",
    replicas: int = 1,
    big: bool = False,
    context: int | None = None,
    state: EngineState = EngineState.ACTIVE,
    features: dict[str, str] | None = None,
    cap: int = 64,
) -> EngineEntry:
    entries = tuple(
        ReplicaEntry(number * 10 + i, f"http://127.0.0.1:{9000 + number * 10 + i}") for i in range(replicas)
    )
    return EngineEntry(
        name=name,
        kind=kind,
        served_model=f"{name}-model",
        big_model=big,
        context_length=context,
        state=state,
        features=features or {},
        max_in_flight=cap,
        replicas=entries,
    )


def table(engines: list[EngineEntry], members: list[Member], **settings: object) -> Table:
    route = RouteEntry(name="demo", revision=1, salt="salt", members=tuple(members))
    return Table(
        version=7,
        engines={entry.name: entry for entry in engines},
        routes={"demo": route},
        settings=replace(Settings(), **settings),
    )


def health(the_table: Table, *, sick: tuple[str, ...] = (), unknown: tuple[str, ...] = ()) -> Health:
    replicas = {}
    for name, entry in the_table.engines.items():
        for replica in entry.replicas:
            if name not in unknown:
                well = name not in sick
                replicas[replica.id] = ReplicaHealth(score=1.0 if well else 0.3, in_rotation=well, at=NOW)
    return Health(sequence=3, at=NOW, replicas=replicas)


def facts(
    key: str = "someone",
    *,
    tokens: int = 10,
    explicit: str | None = None,
    context: int = 0,
    features: frozenset[Feature] = frozenset(),
    route: str = "demo",
    request_id: str = "r1",
    expected: int = 0,
    leading: str = "",
) -> RequestFacts:
    return RequestFacts(
        request_id=request_id,
        expected_tokens=expected,
        leading=leading,
        route=route,
        input_tokens=tokens,
        tokens_estimated=False,
        required_context=context or tokens,
        sticky_key=key,
        sticky_unit="session",
        explicit_engine=explicit,
        features=features,
    )


def member(name: str, weight: int = 0, *, canary: bool = False, role: Role = Role.SPLIT) -> Member:
    return Member(name, role, weight, canary)
