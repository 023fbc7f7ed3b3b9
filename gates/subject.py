"""What a run tests, from the rows to values and clients: the replicas of an engine, or a route behind the gateway."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from django.conf import settings

from engines.adapters import get_adapter
from engines.http import HttpEngineClient
from engines.models import Engine
from engines.models import Replica as ReplicaRow
from engines.sealing import unseal
from gates.journal import engines_of
from gates.models import GateRun
from routing.models import Route


class TargetGone(Exception):
    """There is nothing to test under that name (any more); the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    engine: str
    kind: str
    url: str
    sealed_key: str
    served_model: str
    features: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`replicas` are loaded (engine) or watched (route). `fingerprint` says what was tested, for the report."""

    kind: str
    name: str
    replicas: Sequence[Replica]
    fingerprint: Mapping[str, Any]


def load(run: GateRun) -> Subject:
    """Raises TargetGone."""
    engines = list(Engine.objects.filter(name__in=engines_of(run)).prefetch_related("replicas").order_by("name"))
    rows = {engine.name: _used(list(engine.replicas.all())) for engine in engines}
    replicas = [_replica(engine, row) for engine in engines for row in rows[engine.name]]
    if not replicas:
        raise TargetGone(f"No {run.target_kind} named {run.target} has a replica to test.")
    fingerprint: dict[str, Any] = {
        "engines": [identity(engine, rows[engine.name]) for engine in engines],
        "measured_on": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {platform.node()}",
    }
    if run.target_kind == GateRun.Target.ROUTE:
        route = Route.objects.get(name=run.target)
        fingerprint |= {"route": route.name, "revision": route.revision, "gateway": settings.GATEWAY_URL}
    return Subject(kind=run.target_kind, name=run.target, replicas=replicas, fingerprint=fingerprint)


def clients(subject: Subject, session: aiohttp.ClientSession) -> list[HttpEngineClient]:
    """Raises engines.sealing.SealBroken."""
    return [
        HttpEngineClient(
            get_adapter(replica.kind),
            replica.url,
            session=session,
            served_model=replica.served_model,
            api_key=unseal(replica.sealed_key, settings.FERNET_KEY),
            record=replica.features,
        )
        for replica in subject.replicas
    ]


def _used(rows: list[ReplicaRow]) -> list[ReplicaRow]:
    """Those in rotation; all of them when none is, as with an engine that no probe has let in yet."""
    rows.sort(key=lambda row: row.pk)
    return [row for row in rows if row.in_rotation] or rows


def _replica(engine: Engine, row: ReplicaRow) -> Replica:
    return Replica(
        engine=engine.name,
        kind=engine.kind,
        url=row.url,
        sealed_key=row.sealed_key,
        served_model=engine.served_model,
        features=engine.features,
    )


def identity(engine: Engine, rows: Sequence[ReplicaRow]) -> dict[str, Any]:
    """What makes an engine the one that was tested. Addresses only as a digest: a report may leave the house."""
    urls = "\n".join(sorted(row.url for row in rows))
    profiles = sorted({row.profile_digest for row in rows} - {""})
    return {
        **({"profiles": profiles} if profiles else {}),  # an engine started elsewhere keeps the digest that it had
        "engine": engine.name,
        "kind": engine.kind,
        "served_model": engine.served_model,
        "context_length": engine.context_length,
        "features": dict(engine.features),
        "versions": sorted({row.health.get("version") or "" for row in rows} - {""}),
        "replicas": len(rows),
        "replicas_digest": hashlib.sha256(urls.encode()).hexdigest()[:16],
    }
