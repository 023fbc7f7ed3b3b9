"""What the gateway answers by itself: models, health and liveness, as plain values. Pure."""

from typing import Any

from routing.decision import Loads
from routing.gateway.follow import Snapshot
from routing.policies.least_outstanding import IDLE
from routing.table import EngineEntry, EngineState, Role


def models(snapshot: Snapshot) -> dict[str, Any]:
    return {"object": "list", "data": [model(name) for name in sorted(snapshot.table.routes)]}


def model(name: str) -> dict[str, Any]:
    """A route as OpenAI describes a model. It has no date of its own, hence 0."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "gateway"}


def health(snapshot: Snapshot, loads: Loads, now: float) -> tuple[int, dict[str, Any]]:
    """(status, body) over all engines: 503 only when none can take traffic. `now` is Unix seconds."""
    table = snapshot.table
    engines = {name: _engine(snapshot, entry, loads, now) for name, entry in sorted(table.engines.items())}
    routes = {
        name: any(
            engines[member.engine]["can_take_traffic"]
            for member in route.members
            if member.role is not Role.OUT and member.engine in engines
        )
        for name, route in sorted(table.routes.items())
    }
    able = any(engine["can_take_traffic"] for engine in engines.values())
    body = {
        "status": "ok" if able and all(routes.values()) else "degraded" if able else "unavailable",
        "table_version": table.version, "health_sequence": snapshot.health.sequence,
        "health_age_seconds": round(now - snapshot.health.at, 3) if snapshot.health.sequence else None,
        "routes": {name: {"can_answer": can} for name, can in routes.items()},
        "engines": engines,
    }  # fmt: skip
    return 200 if able else 503, body


def _engine(snapshot: Snapshot, entry: EngineEntry, loads: Loads, now: float) -> dict[str, Any]:
    replicas = []
    for replica in entry.replicas:
        seen = snapshot.health.replicas.get(replica.id)
        load = loads.get(replica.id, IDLE)
        replicas.append({
            "id": replica.id,
            "score": seen.score if seen else None,
            "in_rotation": seen.in_rotation if seen else False,
            "age_seconds": round(now - seen.at, 3) if seen else None,
            "running": seen.running if seen else None,
            "waiting": seen.waiting if seen else None,
            "in_flight": load.in_flight,
        })  # fmt: skip
    rotation = any(replica["in_rotation"] for replica in replicas)
    return {
        "kind": entry.kind,
        "state": entry.state.value,
        "replicas": replicas,
        "can_take_traffic": entry.state is EngineState.ACTIVE and rotation,
    }
