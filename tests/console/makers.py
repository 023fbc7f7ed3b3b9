"""Engines, routes and outcomes for the tests of pages, made by the real actions."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from engines import actions as engine_actions
from engines.actions import ProbeRecord
from engines.actors import Actor
from engines.models import Engine
from routing import actions as routing_actions
from routing.models import Route
from routing.outcomes import Outcome, Result, Source, to_json
from routing.rollup import save_outcomes
from tests.routing.rows import make_engine, members

TESTER = Actor("user", "1", "tester-1")


def engine(name: str = "hf-demo", *, kind: str = "custom", active: bool = True) -> Engine:
    return make_engine(name, actor=TESTER, enabled=active, kind=kind)


def route(name: str, weights: dict[str, int], *, canary: str = "") -> Route:
    return routing_actions.create_route(name, members(weights, canary), actor=TESTER, reason="for a test")


def change(name: str, weights: dict[str, int], *, expected: int) -> None:
    routing_actions.change_split(name, members(weights), expected=expected, actor=TESTER, reason="for a test")


def probe(
    made: Engine, at: datetime, *, score: float, good: bool = True, rows: tuple[dict[str, Any], ...] = ()
) -> None:
    """In rotation from 0.7 up, as the product's default has it."""
    replica = made.replicas.get()
    record = ProbeRecord(
        replica_id=replica.pk, at=at, score=score, in_rotation=score >= 0.7, worst="", good=good,
        health={"rows": list(rows)},
    )  # fmt: skip
    engine_actions.record_probes([record])


def requests(count: int, at: datetime, *, engine: str = "hf-demo", route: str = "demo", failed: int = 0,
             ttft: float = 0.5, source: Source = Source.CLIENT) -> None:  # fmt: skip
    """`count` requests within the 10 s before `at`, the first `failed` of them failed."""
    assigned = (at - timedelta(seconds=5)).timestamp()
    save_outcomes([
        to_json(Outcome(
            request_id=uuid.uuid4().hex, decision_id="d", assigned_at=assigned, route=route, operation="chat",
            source=source, key_id=None, stream=True, arm=engine, canary=False, rule="split", engine=engine,
            sticky_bucket=None, sticky_unit="request",
            result=Result.ENGINE_ERROR if number < failed else Result.OK, first_attempt=Result.OK, status=200,
            ttft=None if number < failed else ttft, e2e=None if number < failed else ttft * 2, ttft_late=ttft > 7,
        ))
        for number in range(count)
    ])  # fmt: skip
