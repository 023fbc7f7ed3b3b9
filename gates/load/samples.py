"""One record per request of a gate run: what was intended, what happened, and the JSONL that carries it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import orjson


class SampleOutcome(StrEnum):
    """How a request of a run ended. All but OK and CANCELLED_BY_US count as failures with infinite latency."""

    OK = "ok"
    HTTP_ERROR = "http_error"
    TRANSPORT_ERROR = "transport_error"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    NOT_SENT = "not_sent"
    CANCELLED_BY_US = "cancelled_by_us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Times are nanoseconds of the run's monotonic clock, 0 at the start of its phase's attempt; None = never.

    `level` is the concurrency of a STEP level, None elsewhere. `transition` marks requests that span two levels.
    """

    index: int
    phase: str
    level: int | None
    attempt: int
    intended_ns: int
    sent_ns: int | None
    first_token_ns: int | None
    end_ns: int | None
    outcome: SampleOutcome
    status_code: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    last_token_ns: int | None = None
    prompt_id: str = ""
    engine: str = ""
    error: str = ""
    warmup: bool = False
    transition: bool = False

    @property
    def failed(self) -> bool:
        return self.outcome not in (SampleOutcome.OK, SampleOutcome.CANCELLED_BY_US)


def to_json(sample: Sample) -> dict[str, Any]:
    return asdict(sample)


def from_json(body: Mapping[str, Any]) -> Sample:
    return Sample(**{**body, "outcome": SampleOutcome(body["outcome"])})


def to_lines(samples: Iterable[Sample]) -> bytes:
    """JSON Lines, one object per request, in the given order."""
    return b"".join(orjson.dumps(to_json(sample)) + b"\n" for sample in samples)


def from_lines(data: bytes) -> list[Sample]:
    """Raises ValueError for a line that is not a sample."""
    return [from_json(orjson.loads(line)) for line in data.splitlines() if line.strip()]
