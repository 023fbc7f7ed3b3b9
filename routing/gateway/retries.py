"""The retry table, in its one place (ARCHITECTURE.md decision 13), with its first-token limit. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from engines.client import Failure, FailureKind

MAX_ATTEMPTS = 2
MAX_COOL_DOWN_SECONDS = 300.0
COOL_DOWN_SECONDS = 2.0
# Share of the TTFT objective that a first attempt may use while another engine could still meet the rest.
FIRST_ATTEMPT_SHARE = 0.6


class Again(StrEnum):
    """Where a failed attempt may be tried again."""

    NEVER = "never"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`blame`: counts against the engine. `cool_down_seconds`: how long it takes no new requests."""

    again: Again
    blame: bool
    cool_down_seconds: float = 0.0


def judge(failure: Failure, *, content_sent: bool, stale: bool, in_stream: bool, can_meet: bool) -> Verdict:
    """`stale`: no byte came on a reused socket. `can_meet`: another engine could still keep the TTFT objective."""
    kind = failure.kind
    if stale and kind is FailureKind.RESET:
        return Verdict(Again.SAME, blame=False)
    if kind in {FailureKind.BAD_REQUEST, FailureKind.NOT_FOUND, FailureKind.UNAUTHORIZED}:
        return Verdict(Again.NEVER, blame=False)
    other = Again.NEVER if content_sent else Again.OTHER
    if kind is FailureKind.SATURATED:
        asked = failure.retry_after_seconds or COOL_DOWN_SECONDS
        return Verdict(other, blame=False, cool_down_seconds=min(max(asked, 0.0), MAX_COOL_DOWN_SECONDS))
    if kind in {FailureKind.REFUSED, FailureKind.RESET, FailureKind.UNAVAILABLE}:
        return Verdict(other, blame=True)
    if kind is FailureKind.TIMEOUT:
        return Verdict(other if can_meet else Again.NEVER, blame=True)
    return Verdict(other if in_stream else Again.NEVER, blame=True)


def first_token_limit(*, elapsed: float, ttft_limit: float, others: bool) -> float | None:
    """Seconds from the request's start by which this attempt must have shown content; None for no such limit."""
    limit = ttft_limit * FIRST_ATTEMPT_SHARE
    return limit if others and elapsed < limit else None
