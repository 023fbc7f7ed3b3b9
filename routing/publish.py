"""Compile the routing table from the models and publish it; publish health beside it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from engines.models import Engine, Replica
from routing.models import ApiKey, HealthHead, Route, RouteRevision, SettingsRevision, TableHead, TableRevision
from routing.table import (
    EngineEntry,
    EngineState,
    Health,
    KeyEntry,
    Member,
    ReplicaEntry,
    ReplicaHealth,
    Role,
    RouteEntry,
    Settings,
    Table,
    health_to_json,
    settings_from_json,
    to_json,
)

KEPT_REVISIONS = 500


@transaction.atomic
def publish(cause: str) -> int:
    """Write the next table. Must run inside the transaction of the change it publishes.

    The update of the one head row serialises publications, so what is read after it is newest.
    """
    TableHead.objects.get_or_create(pk=1)
    TableHead.objects.filter(pk=1).update(version=F("version") + 1)
    version = TableHead.objects.get(pk=1).version
    TableRevision.objects.create(version=version, body=to_json(compile_table(version)), at=timezone.now(), cause=cause)
    TableRevision.objects.filter(version__lte=version - KEPT_REVISIONS).delete()
    return version


def compile_table(version: int) -> Table:
    engines = Engine.objects.with_replicas().order_by("name")
    keys = ApiKey.objects.filter(revoked_at=None)
    return Table(
        version=version,
        engines={engine.name: _engine_entry(engine) for engine in engines},
        routes={entry.name: entry for entry in _routes()},
        keys={key.digest: _key_entry(key) for key in keys},
        settings=current_settings(),
    )


def current_settings() -> Settings:
    newest = SettingsRevision.objects.order_by("-number").first()
    return settings_from_json(newest.body) if newest else Settings()


def load_table(after: int) -> dict[str, Any] | None:
    """The newest table if it is newer than `after`."""
    newest = TableRevision.objects.order_by("-version").filter(version__gt=after).first()
    return newest.body if newest else None


def load_health(after: int) -> dict[str, Any] | None:
    head = HealthHead.objects.filter(pk=1, sequence__gt=after).first()
    return head.body if head else None


@transaction.atomic
def publish_health(replicas: Mapping[int, ReplicaHealth], *, now: datetime) -> int:
    HealthHead.objects.get_or_create(pk=1)
    HealthHead.objects.filter(pk=1).update(sequence=F("sequence") + 1)
    sequence = HealthHead.objects.get(pk=1).sequence
    leases = HealthHead.objects.get(pk=1).body.get("leases", {})
    body = health_to_json(Health(sequence=sequence, at=now.timestamp(), replicas=replicas, leases=leases))
    HealthHead.objects.filter(pk=1).update(body=body)
    return sequence


@transaction.atomic
def renew_leases(routes: Iterable[str], now: datetime) -> None:
    """The canaries of `routes` are watched as of `now`. Others keep the stamp they have, and so run out."""
    HealthHead.objects.get_or_create(pk=1)
    HealthHead.objects.filter(pk=1).update(sequence=F("sequence") + 1)
    head = HealthHead.objects.get(pk=1)
    owned = set(Route.objects.exclude(owner="").values_list("name", flat=True))
    kept = {route: at for route, at in head.body.get("leases", {}).items() if route in owned}
    leases = kept | dict.fromkeys(routes, now.timestamp())
    body = {"at": now.timestamp(), "replicas": {}, **head.body, "sequence": head.sequence, "leases": leases}
    HealthHead.objects.filter(pk=1).update(body=body)


def published_health() -> dict[int, ReplicaHealth]:
    """The stored probe of every replica, as gateways route by it. Never probed ones are absent."""
    probed = Replica.objects.exclude(probed_at=None)
    return {replica.pk: _replica_health(replica, replica.probed_at) for replica in probed}


def on_engine_changed(action: str, **_: object) -> None:
    publish(action)


def members_from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[Member, ...]:
    return tuple(
        Member(row["engine"], Role(row["role"]), int(row["weight"]), bool(row.get("canary", False))) for row in rows
    )


def _routes() -> Iterable[RouteEntry]:
    current = RouteRevision.objects.filter(number=F("route__revision")).select_related("route")
    for revision in current.order_by("route__name"):
        yield RouteEntry(
            name=revision.route.name,
            revision=revision.number,
            salt=revision.route.salt,
            members=members_from_json(revision.members),
            owner=revision.route.owner,
            epoch=revision.route.epoch,
            drain=revision.route.drain,
            shadow=revision.route.shadow,
        )


def _engine_entry(engine: Engine) -> EngineEntry:
    return EngineEntry(
        name=engine.name,
        kind=engine.kind,
        served_model=engine.served_model,
        big_model=engine.big_model,
        context_length=engine.context_length,
        state=EngineState(engine.state),
        max_in_flight=engine.max_in_flight,
        features=engine.features,
        replicas=tuple(
            ReplicaEntry(replica.pk, replica.url, replica.sealed_key or None)
            for replica in sorted(engine.replicas.all(), key=lambda replica: replica.pk)
        ),
    )


def _replica_health(replica: Replica, probed_at: datetime | None) -> ReplicaHealth:
    load = replica.health.get("load", {})
    return ReplicaHealth(
        score=replica.score or 0.0,
        in_rotation=replica.in_rotation,
        at=probed_at.timestamp() if probed_at else 0.0,
        running=_whole(load.get("running")),
        waiting=_whole(load.get("waiting")),
        kv_use=load.get("kv_use"),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _key_entry(key: ApiKey) -> KeyEntry:
    return KeyEntry(
        id=key.pk,
        name=key.name,
        scopes=tuple(key.scopes),
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        requests_per_minute=key.requests_per_minute,
    )


def table_in_force() -> TableRevision | None:
    return TableRevision.objects.order_by("-version").first()
