"""The record of one request, as a value. Pure; `routing.actions` stores it, `routing.rollup` counts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Who sent the request. Only CLIENT counts in SLO and canary figures."""

    CLIENT = "client"
    PLAYGROUND = "playground"
    GATE = "gate"
    SHADOW = "shadow"


class Result(StrEnum):
    """How an attempt or a request ended."""

    OK = "ok"
    REJECTED = "rejected"  # refused by the gateway itself: key, limit, bad body, nothing routable
    BAD_REQUEST = "bad_request"  # refused by the engine as the caller's fault
    CANCELLED = "cancelled"  # the client went away
    SATURATED = "saturated"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    ENGINE_ERROR = "engine_error"
    TRUNCATED = "truncated"
    UNDECIDED = "undecided"  # still running at a limit; the final record follows


# Ends that say nothing about the engine: excluded from SLO denominators and canary figures.
BLAMELESS = frozenset({Result.REJECTED, Result.BAD_REQUEST, Result.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try on one replica. Times are seconds since the request was accepted; None = did not happen."""

    engine: str
    replica: int
    result: Result
    started: float
    first_content: float | None = None
    ended: float | None = None
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Keyed by request_id. `assigned_at` is Unix seconds; ttft, e2e, tpot and queue are seconds."""

    request_id: str
    decision_id: str
    assigned_at: float
    route: str
    operation: str
    source: Source
    key_id: int | None
    stream: bool
    arm: str | None  # engine that the split assigned; None where no split took part
    canary: bool
    rule: str
    engine: str | None  # engine that answered
    sticky_bucket: int | None
    sticky_unit: str
    result: Result
    first_attempt: Result | None
    status: int
    error: str = ""
    ttft: float | None = None
    e2e: float | None = None
    tpot: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    tokens_estimated: bool = False
    ttft_late: bool = False  # undecided at the TTFT limit, or over it
    e2e_late: bool = False
    attempts: tuple[Attempt, ...] = ()
    decision: Mapping[str, Any] = field(default_factory=dict)
    table_version: int = 0
    health_sequence: int = 0


def to_json(outcome: Outcome) -> dict[str, Any]:
    """By hand: dataclasses.asdict copies deeply and costs as much as routing the request."""
    body = {name: getattr(outcome, name) for name in _FIELDS}
    body["attempts"] = [{name: getattr(attempt, name) for name in _ATTEMPT_FIELDS} for attempt in outcome.attempts]
    return body


_FIELDS = tuple(item.name for item in fields(Outcome))
_ATTEMPT_FIELDS = tuple(item.name for item in fields(Attempt))
