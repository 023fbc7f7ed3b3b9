"""Every change to engines and replicas: one transaction, one signal, an actor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from engines.actors import CONTROLLER, Actor
from engines.models import Engine, EngineCheck, HealthSample, Replica
from engines.signals import changed

SLOTS = 6


class StaleEngine(Exception):
    """Somebody else changed the engine since the form was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """What an operator declares of an engine. None for context_length lets the probe find it."""

    name: str
    kind: str
    served_model: str
    big_model: bool = False
    context_length: int | None = None
    max_in_flight: int = 64
    features: Mapping[str, str] = field(default_factory=dict)


def describe(engine: Engine) -> dict[str, Any]:
    """The audited view of an engine: no key, not even sealed."""
    return {
        "kind": engine.kind,
        "served_model": engine.served_model,
        "big_model": engine.big_model,
        "context_length": engine.context_length,
        "max_in_flight": engine.max_in_flight,
        "state": engine.state,
        "features": engine.features,
        "replicas": sorted(engine.replicas.values_list("url", flat=True)),
    }


@transaction.atomic
def register_engine(
    spec: EngineSpec, *, replicas: Iterable[tuple[str, str]], actor: Actor, reason: str, managed_by: str = ""
) -> Engine:
    """Saved disabled: enabling is a separate act. `replicas` are (URL, sealed key or "").

    Raises IntegrityError when the name is taken.
    """
    engine = Engine.objects.create(slot=_free_slot(), **_columns(spec))
    for url, sealed_key in replicas:
        engine.replicas.create(url=url, sealed_key=sealed_key, managed_by=managed_by)
    _announce("engine.register", engine, actor=actor, reason=reason, before={})
    return engine


@transaction.atomic
def edit_engine(engine: Engine, spec: EngineSpec, *, replicas: Mapping[str, str], actor: Actor, reason: str) -> Engine:
    """`replicas` maps URL to sealed key; a URL that stays keeps its health. Raises StaleEngine.

    `engine.version` is the version the editor saw. The name stays: routes and history refer to it.
    """
    before = describe(engine)
    columns = {**_columns(spec), "name": engine.name}
    moved = Engine.objects.filter(pk=engine.pk, version=engine.version).update(version=F("version") + 1, **columns)
    if not moved:
        raise StaleEngine(engine.name)
    engine.replicas.exclude(url__in=replicas).delete()
    for url, sealed_key in replicas.items():
        Replica.objects.update_or_create(engine=engine, url=url, defaults={"sealed_key": sealed_key})
    engine.refresh_from_db()
    _announce("engine.edit", engine, actor=actor, reason=reason, before=before)
    return engine


@transaction.atomic
def set_state(engine: Engine, state: Engine.State, *, actor: Actor, reason: str) -> Engine:
    """Enable, drain, undrain or disable. Raises StaleEngine when the state moved meanwhile."""
    before = describe(engine)
    moved = Engine.objects.filter(pk=engine.pk, state=engine.state).update(state=state, version=F("version") + 1)
    if not moved:
        raise StaleEngine(engine.name)
    engine.refresh_from_db()
    _announce(f"engine.{state}", engine, actor=actor, reason=reason, before=before)
    return engine


@transaction.atomic
def delete_engine(engine: Engine, *, actor: Actor, reason: str) -> None:
    """Call routing.actions.remove_engine instead: it refuses while a route names the engine."""
    before, name = describe(engine), engine.name
    engine.delete()
    changed.send(
        Engine,
        action="engine.delete",
        subject=f"engine:{name}",
        actor=actor,
        reason=reason,
        before=before,
        after={},
    )


@transaction.atomic
def set_managed_url(managed_by: str, url: str, *, actor: Actor) -> None:
    """A replica that `make run` manages listens where this start put it."""
    for replica in Replica.objects.filter(managed_by=managed_by).exclude(url=url).select_related("engine"):
        before = describe(replica.engine)
        Replica.objects.filter(pk=replica.pk).update(url=url, probed_at=None, in_rotation=False)
        _announce("engine.move", replica.engine, actor=actor, reason="ports of this start", before=before)


@transaction.atomic
def forget_probes(managed_by: Iterable[str]) -> None:
    """Processes that `make run` starts anew are unknown until they are probed."""
    Replica.objects.filter(managed_by__in=list(managed_by)).update(
        health={}, score=None, in_rotation=False, probed_at=None, suspect_at=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRecord:
    """What one probe found, ready to store. `detected` holds features that were found out."""

    replica_id: int
    at: datetime
    score: float
    in_rotation: bool
    worst: str
    good: bool
    health: Mapping[str, Any]
    context_length: int | None = None
    detected: Mapping[str, str] = field(default_factory=dict)


@transaction.atomic
def record_probes(records: Iterable[ProbeRecord]) -> list[Replica]:
    """Stores the probes and returns replicas that entered or left the rotation. Scores are not audited."""
    flipped = []
    for record in records:
        replica = Replica.objects.select_related("engine").filter(pk=record.replica_id).first()
        if replica is None:
            continue  # deleted while the probe was under way
        if replica.in_rotation != record.in_rotation:
            flipped.append(replica)
        _store_probe(replica, record)
        _learn(replica.engine, record)
    return flipped


def _store_probe(replica: Replica, record: ProbeRecord) -> None:
    replica.score, replica.in_rotation = record.score, record.in_rotation
    replica.health, replica.probed_at = dict(record.health), record.at
    if record.good:
        replica.last_good_at = record.at
    replica.save(update_fields=["score", "in_rotation", "health", "probed_at", "last_good_at"])
    HealthSample.objects.create(
        replica=replica, at=record.at, score=record.score, in_rotation=record.in_rotation, worst=record.worst
    )


def _learn(engine: Engine, record: ProbeRecord) -> None:
    """Keep what a probe found out where the operator declared nothing. Audited: gateways route by it."""
    features = {**record.detected, **engine.features}
    length = engine.context_length or record.context_length
    if features == engine.features and length == engine.context_length:
        return
    before = describe(engine)
    engine.features, engine.context_length = features, length
    engine.save(update_fields=["features", "context_length"])
    _announce("engine.detect", engine, actor=CONTROLLER, reason="found by a probe", before=before)


def mark_suspect(replica_ids: Iterable[int], *, now: datetime) -> None:
    """A gateway met a refused or reset connection: the controller probes these at once."""
    Replica.objects.filter(pk__in=list(replica_ids)).update(suspect_at=now)


def open_check(*, kind: str, url: str, served_model: str, sealed_key: str) -> EngineCheck:
    """A check list to run. Unaudited: it changes nothing that carries traffic."""
    return EngineCheck.objects.create(kind=kind, url=url, served_model=served_model, sealed_key=sealed_key)


def note_check(check: EngineCheck, rows: Iterable[Mapping[str, Any]]) -> None:
    """What the check found so far, while it goes on."""
    check.rows = [dict(row) for row in rows]
    check.save(update_fields=["rows"])


def close_check(check: EngineCheck, rows: Iterable[Mapping[str, Any]]) -> None:
    """The last word of a check. The key it was made with is forgotten."""
    check.rows = [dict(row) for row in rows]
    check.finished_at, check.sealed_key = timezone.now(), ""
    check.save(update_fields=["rows", "finished_at", "sealed_key"])


def _columns(spec: EngineSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "served_model": spec.served_model,
        "big_model": spec.big_model,
        "context_length": spec.context_length,
        "max_in_flight": spec.max_in_flight,
        "features": dict(spec.features),
    }


def _free_slot() -> int:
    taken = list(Engine.objects.values_list("slot", flat=True))
    return min(range(1, SLOTS + 1), key=lambda slot: (taken.count(slot), slot))


def _announce(action: str, engine: Engine, *, actor: Actor, reason: str, before: dict[str, Any]) -> None:
    changed.send(
        Engine,
        action=action,
        subject=f"engine:{engine.name}",
        actor=actor,
        reason=reason,
        before=before,
        after=describe(engine),
    )
