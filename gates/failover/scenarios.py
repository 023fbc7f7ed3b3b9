"""What a failover gate does to an engine's stand-in and when, and what clients saw of it, as values. Pure."""

from dataclasses import dataclass
from enum import StrEnum

CALM = "calm"


class Scenario(StrEnum):
    STOP = "stop"
    HANG = "hang"
    SLOW = "slow"
    ERROR = "error"
    ERROR_500 = "error-500"


MEANING = {
    Scenario.STOP: "connections break and new ones are refused, as when the process dies",
    Scenario.HANG: "requests are taken and nothing comes back, as when the process freezes; what it held back follows",
    Scenario.SLOW: "the first byte comes 2 s late and each further piece 0.2 s late",
    Scenario.ERROR: "each new request is answered 503, as by an engine that is overloaded or starts up",
    Scenario.ERROR_500: "each new request is answered 500, as by an engine that fails inside",
}
DEFAULT = (Scenario.STOP, Scenario.HANG, Scenario.SLOW, Scenario.ERROR)


class InvalidPlan(ValueError):
    """The plan cannot be run; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seconds, and requests a second: every other one streamed. After each fault the load goes on until `recovery`
    seconds have passed and the engine is back, `patience` at most."""

    scenarios: tuple[Scenario, ...] = DEFAULT
    rate: float = 2.0
    calm: float = 4.0
    fault: float = 8.0
    recovery: float = 4.0
    patience: float = 60.0
    max_tokens: int = 16
    request_timeout: float = 60.0

    @property
    def longest(self) -> float:
        return self.calm + len(self.scenarios) * (self.fault + self.patience)


def check(plan: Plan) -> None:
    """Raises InvalidPlan."""
    if not plan.scenarios or len(set(plan.scenarios)) != len(plan.scenarios):
        raise InvalidPlan("Name at least one scenario, each once.")
    if not 0 < plan.rate <= 5:
        raise InvalidPlan("rate: light load only, above 0 and at most 5 requests a second.")
    if not 4 <= plan.fault <= 60:
        raise InvalidPlan("fault: from 4 to 60 seconds.")


class Seen(StrEnum):
    """How one request ended for the client that sent it."""

    OK = "ok"
    ERROR_EVENT = "error_event"
    HTTP_ERROR = "http_error"
    CUT = "cut"
    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Times are seconds since the run's start; `ttft` is seconds since `sent`. `attempts` is None where the gateway's
    record did not come."""

    index: int
    streamed: bool
    sent: float
    ended: float
    seen: Seen
    status: int | None = None
    ttft: float | None = None
    engine: str = ""
    request_id: str = ""
    attempts: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One scenario as it happened. `out_at`, `back_at`: when the stand-in was seen to leave and re-enter rotation."""

    scenario: Scenario
    began: float
    healed: float
    ended: float
    out_at: float | None = None
    back_at: float | None = None
    recovered: bool = True
