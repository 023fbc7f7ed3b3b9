"""From a replica's row to a probe and back: what the controller asks, and how the answer is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from engines import health
from engines.actions import ProbeRecord
from engines.adapters import get_adapter
from engines.client import HealthInput
from engines.health import HealthScore, Limits
from engines.http import HttpEngineClient
from engines.models import Replica
from engines.prefix_hits import Reading, keep, readings_from_json
from engines.probe import Identity, ProbeResult, identity_from_json, identity_to_json, probe
from routing import windows
from routing.outcomes import Source
from routing.reports import live_reports
from routing.table import Settings

PASSIVE_WINDOW = timedelta(seconds=60)
# Gate and shadow traffic may be meant to overload an engine; people's requests may not.
PASSIVE_SOURCES = (Source.CLIENT, Source.PLAYGROUND)

LOAD = ("running", "waiting", "kv_use")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One replica to look at, with all that the score needs from the database."""

    replica_id: int
    engine: str
    kind: str
    url: str
    sealed_key: str
    served_model: str
    record: Mapping[str, str]
    previous: HealthScore | None
    identity: Identity | None
    process_since: float | None = None
    passive: tuple[HealthInput, ...] = ()
    lookups: tuple[Reading, ...] = ()
    tokens_age: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A finished probe with its score."""

    target: Target
    result: ProbeResult
    score: HealthScore


def limits_of(settings: Settings) -> Limits:
    return Limits(
        ttft=settings.ttft_limit,
        error_share=settings.error_rate_limit,
        out_below=settings.health_out_below,
        back_at=settings.health_back_at,
    )


def targets(replicas: list[Replica], *, settings: Settings, now: datetime) -> list[Target]:
    limits = limits_of(settings)
    ages = token_ages(now)
    return [
        Target(
            replica_id=replica.pk,
            engine=replica.engine.name,
            kind=replica.engine.kind,
            url=replica.url,
            sealed_key=replica.sealed_key,
            served_model=replica.engine.served_model,
            record=replica.engine.features,
            previous=_previous(replica.health),
            process_since=replica.health.get("process_since"),
            identity=identity_from_json(replica.health.get("identity") or {}),
            passive=passive_inputs(replica, limits, now),
            lookups=tuple(readings_from_json(replica.health.get("lookups"))),
            tokens_age=ages.get(replica.pk),
        )
        for replica in replicas
    ]


def passive_inputs(replica: Replica, limits: Limits, now: datetime) -> tuple[HealthInput, ...]:
    """What people's requests met at its engine in the last minute, but not before this process was there."""
    process_since = datetime.fromtimestamp(replica.health.get("process_since") or 0, UTC)
    since = max(now - PASSIVE_WINDOW, process_since)
    seen = windows.figures(since, now, engine=replica.engine.name, sources=PASSIVE_SOURCES)
    return health.passive_inputs(
        ttft_p95=seen.ttft_p95(), error_share=seen.error_rate, count=seen.judged, age_seconds=0.0, limits=limits
    )


def token_ages(now: datetime) -> dict[int, float]:
    """Seconds since any gateway saw a token of each replica."""
    newest: dict[int, float] = {}
    for report in live_reports(now):
        for replica, at in report.body.get("tokens_seen_at", {}).items():
            newest[int(replica)] = max(at, newest.get(int(replica), 0.0))
    return {replica: now.timestamp() - at for replica, at in newest.items()}


async def look(
    target: Target, *, session: aiohttp.ClientSession, api_key: str | None, limits: Limits, now: datetime
) -> Seen:
    client = HttpEngineClient(
        get_adapter(target.kind),
        target.url,
        session=session,
        served_model=target.served_model,
        api_key=api_key,
        record=target.record,
    )
    result = await probe(client, target.identity, now=now.timestamp(), tokens_age=target.tokens_age, limits=limits)
    previous = target.previous.state if target.previous else None
    passive = () if result.restarted else target.passive
    scored = health.score((*result.inputs, *passive), previous, now.timestamp(), limits)
    return Seen(target, result, scored)


def record_of(seen: Seen) -> ProbeRecord:
    failure = seen.result.generation.failure if seen.result.generation else None
    stored = {
        **health.to_json(seen.score),
        "identity": identity_to_json(seen.result.identity),
        "version": seen.result.identity.version,
        "error": seen.result.health.error or (failure.message if failure else ""),
        "error_kind": _error_kind(seen),
        "process_since": seen.score.at if seen.result.restarted else seen.target.process_since,
        "probe_seconds": round(seen.result.seconds, 4),
        "load": {name: seen.result.value(name) for name in LOAD},
        "lookups": keep(
            () if seen.result.restarted else seen.target.lookups,
            seen.score.at,
            seen.result.value("prefix_hits"),
            seen.result.value("prefix_queries"),
        ),
    }
    return ProbeRecord(
        replica_id=seen.target.replica_id,
        at=datetime.fromtimestamp(seen.score.at, UTC),
        score=seen.score.score,
        in_rotation=seen.score.in_rotation,
        worst=seen.score.worst,
        good=seen.result.health.reachable,
        health=stored,
        context_length=seen.result.health.context_length,
        detected=seen.result.detected,
    )


def _error_kind(seen: Seen) -> str:
    """A FailureKind's value, or nothing."""
    if seen.result.health.error_kind is not None:
        return str(seen.result.health.error_kind)
    failure = seen.result.generation.failure if seen.result.generation else None
    return str(failure.kind) if failure else ""


def _previous(stored: Mapping[str, Any]) -> HealthScore | None:
    if "rows" not in stored:
        return None
    names = HealthScore.__dataclass_fields__
    return health.from_json({name: stored[name] for name in names})
