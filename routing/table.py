"""The routing table: the immutable, versioned snapshot that gateways route by, and its health companion.

Pure. `routing.publish` writes it, `routing.gateway.follow` reads it; both meet in `to_json` and `from_json`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What an engine is in a route (ARCHITECTURE.md decision 4)."""

    SPLIT = "split"
    STANDBY = "standby"
    OUT = "out"


class EngineState(StrEnum):
    """What the operator wants of an engine."""

    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class ReplicaEntry:
    """`sealed_key` is the engine's API key as Fernet ciphertext."""

    id: int
    url: str
    sealed_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    name: str
    kind: str
    served_model: str
    big_model: bool = False
    context_length: int | None = None
    state: EngineState = EngineState.ACTIVE
    max_in_flight: int = 64
    features: Mapping[str, str] = field(default_factory=dict)
    replicas: tuple[ReplicaEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """An engine's place in a route. `weight` is whole per cent, used only where the role is split."""

    engine: str
    role: Role
    weight: int = 0
    canary: bool = False
    withheld: str = ""  # why this gateway gives the canary no traffic: lease or trip (routing.lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEntry:
    """`owner` is the release whose lease keeps its canary's weight; `drain` and `shadow` as in routing.models.Route."""

    name: str
    revision: int
    salt: str
    members: tuple[Member, ...]
    owner: str = ""
    epoch: int = 0
    drain: Mapping[str, Any] = field(default_factory=dict)
    shadow: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A client key. `expires_at` is Unix seconds. Rate is requests per minute, None for no limit."""

    id: int
    name: str
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What operators may change at run time. Times in seconds."""

    long_input_tokens: int = 8192
    health_out_below: float = 0.7
    health_back_at: float = 0.8
    ttft_limit: float = 7.0
    e2e_limit: float = 20.0
    error_rate_limit: float = 0.005
    qps_target: float = 2.0
    windows_met_ratio: float = 0.9
    request_deadline: float = 120.0
    enable_prefix_cache: bool = True
    preferred_kind: str = "auto"
    cors_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`keys` maps the SHA-256 hex digest of a client key to its entry."""

    version: int
    engines: Mapping[str, EngineEntry] = field(default_factory=dict)
    routes: Mapping[str, RouteEntry] = field(default_factory=dict)
    keys: Mapping[str, KeyEntry] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class ReplicaHealth:
    """`at` is Unix seconds of the probe; running, waiting and kv_use are None where the engine does not tell."""

    score: float
    in_rotation: bool
    at: float
    running: int | None = None
    waiting: int | None = None
    kv_use: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The newest health of every replica by id, with its own sequence number.

    `leases`: route → Unix seconds at which the controller last said that it watches the route's canary.
    """

    sequence: int
    at: float
    replicas: Mapping[int, ReplicaHealth] = field(default_factory=dict)
    leases: Mapping[str, float] = field(default_factory=dict)


def to_json(table: Table) -> dict[str, Any]:
    return asdict(table)


def from_json(body: Mapping[str, Any]) -> Table:
    """Raises KeyError, TypeError or ValueError for a body that to_json did not write."""
    return Table(
        version=body["version"],
        engines={name: _engine(entry) for name, entry in body["engines"].items()},
        routes={name: _route(entry) for name, entry in body["routes"].items()},
        keys={
            digest: KeyEntry(**{**entry, "scopes": tuple(entry["scopes"])}) for digest, entry in body["keys"].items()
        },
        settings=settings_from_json(body["settings"]),
    )


def settings_from_json(body: Mapping[str, Any]) -> Settings:
    return Settings(**{**body, "cors_origins": tuple(body.get("cors_origins", ()))})


def health_to_json(health: Health) -> dict[str, Any]:
    return {
        "sequence": health.sequence,
        "at": health.at,
        "replicas": {str(key): asdict(value) for key, value in health.replicas.items()},
        "leases": dict(health.leases),
    }


def health_from_json(body: Mapping[str, Any]) -> Health:
    replicas = {int(key): ReplicaHealth(**value) for key, value in body["replicas"].items()}
    return Health(sequence=body["sequence"], at=body["at"], replicas=replicas, leases=body.get("leases", {}))


def _engine(entry: Mapping[str, Any]) -> EngineEntry:
    replicas = tuple(ReplicaEntry(**replica) for replica in entry["replicas"])
    return EngineEntry(**{**entry, "state": EngineState(entry["state"]), "replicas": replicas})


def _route(entry: Mapping[str, Any]) -> RouteEntry:
    members = tuple(Member(**{**member, "role": Role(member["role"])}) for member in entry["members"])
    return RouteEntry(**{**entry, "members": members})
