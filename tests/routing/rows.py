"""Rows that tests of routes and engines start from, made by the real actions."""

from collections.abc import Mapping
from typing import Any

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


def make_engine(name: str, *, actor: Actor = ANNA, enabled: bool = True, **fields: Any) -> Engine:
    """With one replica. `fields` are those of EngineSpec."""
    spec = EngineSpec(**{"name": name, "kind": "custom", "served_model": "demo", **fields})
    engine = engine_actions.register_engine(
        spec, replicas=[(f"http://127.0.0.1:9000/{name}", "")], actor=actor, reason=WHY
    )
    return engine_actions.set_state(engine, Engine.State.ACTIVE, actor=actor, reason=WHY) if enabled else engine


def members(weights: Mapping[str, int], canary: str = "") -> list[Member]:
    return [Member(name, Role.SPLIT, weight, name == canary) for name, weight in weights.items()]


def split(**weights: int) -> list[Member]:
    return members(weights)


def make_route(name: str = "demo", **weights: int) -> Route:
    return actions.create_route(name, split(**weights), actor=ANNA, reason=WHY)
