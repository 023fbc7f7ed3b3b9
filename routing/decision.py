"""What the rules decide from and what they decide: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from engines.client import Feature


class Rule(StrEnum):
    """Why an engine was chosen, in the order the rules are tried."""

    EXPLICIT = "explicit"
    LONG_INPUT = "long_input"
    BIG_MODEL = "big_model"
    SPLIT = "split"
    FALLBACK = "fallback"
    FAIL_OPEN = "fail_open"


class Reason(StrEnum):
    """Why a candidate is not eligible. SOFT ones may be overridden by failing open, hard ones never."""

    UNHEALTHY = "unhealthy"
    SATURATED = "saturated"
    IN_FLIGHT_CAP = "in_flight_cap"
    DISABLED = "disabled"
    DRAINING = "draining"
    NO_REPLICA = "no_replica"
    NEVER_PROBED = "never_probed"
    LACKS_FEATURE = "lacks_feature"
    CONTEXT_TOO_SHORT = "context_too_short"
    OUT_OF_ROUTE = "out_of_route"
    WEIGHT_ZERO = "weight_zero"
    TRIPPED = "tripped"
    LEASE_EXPIRED = "lease_expired"


SOFT = frozenset({Reason.UNHEALTHY, Reason.SATURATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """Everything about a request that the rules may look at. `required_context` is input plus max_tokens.

    `expected_tokens` is the work it stands for: input and expected output. `leading` is how its text begins.
    """

    request_id: str
    route: str
    input_tokens: int
    tokens_estimated: bool
    required_context: int
    sticky_key: str
    sticky_unit: str  # session, user or request
    explicit_engine: str | None = None
    features: frozenset[Feature] = frozenset()
    expected_tokens: int = 0
    leading: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """The gateway's own view of one replica, newer than any probe. Times are Unix seconds.

    `pace` is seconds per token of work that it answered lately, as of `paced_at`.
    """

    in_flight: int = 0
    in_flight_tokens: int = 0
    saturated_until: float = 0.0
    tripped: bool = False
    pace: float | None = None
    paced_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One engine of the route as the rules saw it. `reasons` empty means eligible."""

    engine: str
    role: str
    weight: int
    score: float | None
    reasons: tuple[Reason, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`order` lists (engine, replica id) to try, best first; attempts after the first are retries.

    `arm` is the engine that the split assigned, None where no split took part. `policy` and `policy_why` say how the
    first replica was found among those of its engine, `beginnings` what its prefix cache holds afterwards.
    """

    route: str
    rule: Rule
    order: tuple[tuple[str, int], ...]
    arm: str | None
    canary: bool
    bucket: int | None
    sticky_unit: str
    why: str
    candidates: tuple[Candidate, ...]
    table_version: int
    health_sequence: int
    input_tokens: int
    tokens_estimated: bool
    policy: str
    policy_why: str
    beginnings: tuple[int, ...] = field(default=(), repr=False)

    @property
    def engine(self) -> str:
        return self.order[0][0]


class Unroutable(Exception):
    """No engine may answer. `status` 400, 404 or 503; `code` and `message` go to the client as they stand."""

    def __init__(
        self, *, status: int, code: str, message: str, candidates: tuple[Candidate, ...] = (), param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.candidates, self.param = candidates, param


Loads = Mapping[int, ReplicaLoad]


def to_json(decision: Decision) -> dict[str, Any]:
    return {
        "route": decision.route,
        "rule": decision.rule.value,
        "order": [list(place) for place in decision.order],
        "arm": decision.arm,
        "canary": decision.canary,
        "bucket": decision.bucket,
        "sticky_unit": decision.sticky_unit,
        "why": decision.why,
        "candidates": [candidate_to_json(candidate) for candidate in decision.candidates],
        "table_version": decision.table_version,
        "health_sequence": decision.health_sequence,
        "input_tokens": decision.input_tokens,
        "tokens_estimated": decision.tokens_estimated,
        "policy": decision.policy,
        "policy_why": decision.policy_why,
    }


def candidate_to_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "engine": candidate.engine,
        "role": candidate.role,
        "weight": candidate.weight,
        "score": candidate.score,
        "reasons": [reason.value for reason in candidate.reasons],
        "detail": candidate.detail,
    }
