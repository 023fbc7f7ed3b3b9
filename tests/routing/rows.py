"""Rows that tests of routes and engines start from, made by the real actions."""

from engines import actions as engine_actions
from engines.actions import EngineSpec
from engines.actors import Actor
from engines.models import Engine
from routing import actions
from routing.models import Route
from routing.table import Member, Role

ANNA = Actor("user", "1", "anna")
BERT = Actor("user", "2", "bert")
WHY = "a reason for the audit log"


def make_engine(name: str, *, kind: str = "custom", enabled: bool = True, model: str = "demo-model") -> Engine:
    engine = engine_actions.register_engine(
        EngineSpec(name=name, kind=kind, served_model=model),
        replicas=[(f"http://127.0.0.1:9000/{name}", "")],
        actor=ANNA,
        reason=WHY,
    )
    if enabled:
        engine_actions.set_state(engine, Engine.State.ACTIVE, actor=ANNA, reason=WHY)
    return engine


def split(**weights: int) -> list[Member]:
    return [Member(name, Role.SPLIT, weight) for name, weight in weights.items()]


def make_route(name: str = "demo", **weights: int) -> Route:
    return actions.create_route(name, split(**weights), actor=ANNA, reason=WHY)
