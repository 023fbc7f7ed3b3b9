"""The engine contract: what any engine can be asked, and the values that go in and come out.

Pure: no I/O here. `engines.http.HttpEngineClient` implements the protocol over any adapter.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Operation(StrEnum):
    """An OpenAI-compatible call that engines answer and the gateway serves."""

    CHAT = "chat"
    COMPLETION = "text_completion"


class Feature(StrEnum):
    """What a request may need. BEST_EFFORT ones are stripped and named; the others narrow the candidates."""

    TOKENIZE = "tokenize"
    METRICS = "metrics"
    PREFIX_CACHE = "prefix_cache"
    SEED = "seed"
    PRIORITY = "priority"
    LOGPROBS = "logprobs"
    GUIDED = "guided"
    TOOLS = "tools"
    REASONING = "reasoning"
    PENALTIES = "penalties"
    MULTIPLE_CHOICES = "n"


BEST_EFFORT = frozenset({Feature.SEED, Feature.PREFIX_CACHE, Feature.PRIORITY, Feature.REASONING})


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Support:
    """Whether an engine has a feature, and how that is known: declared, detected or adapter."""

    answer: Answer
    source: str


class FailureKind(StrEnum):
    """Why an attempt failed, in one vocabulary for every engine."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    SATURATED = "saturated"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Failure:
    """One normalised engine error. `message` is safe to show: no key, host or path of ours."""

    kind: FailureKind
    message: str
    status: int | None = None
    param: str | None = None
    code: str | None = None
    retry_after_seconds: float | None = None


class EngineFailure(Exception):
    """An engine did not do what was asked."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the engine stated them; None where it did not."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One generation. `body` holds further OpenAI fields (temperature, stop, …) as a client would send them."""

    operation: Operation = Operation.CHAT
    messages: tuple[Mapping[str, Any], ...] = ()
    prompt: str | None = None
    max_tokens: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One streamed event: any of text, reasoning, tool-call delta, usage, finish reason."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    usage: Usage | None = None
    finish_reason: str | None = None

    @property
    def has_content(self) -> bool:
        """True for the events that TTFT counts: text, reasoning or a tool-call delta."""
        return bool(self.text or self.reasoning or self.tool_calls)


@dataclass(frozen=True, slots=True)
class GenerateResponse:
    text: str
    finish_reason: str | None
    usage: Usage
    reasoning: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class HealthInput:
    """One observed fact about a replica. `value` None means not known, which is never 0."""

    name: str
    value: float | None
    unit: str
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """What a probe of one replica saw. `error` says in words why it could not be reached."""

    reachable: bool
    inputs: tuple[HealthInput, ...] = ()
    served_models: tuple[str, ...] = ()
    context_length: int | None = None
    version: str | None = None
    timed_out: bool = False
    error: str = ""
    error_kind: FailureKind | None = None


class EngineClient(Protocol):
    """Raises EngineFailure from every method except health() and supports()."""

    async def generate(self, request: GenerateRequest) -> GenerateResponse: ...

    def stream(self, request: GenerateRequest) -> AsyncIterator[Chunk]: ...

    async def tokenize(self, text: str) -> list[int]: ...

    async def health(self) -> EngineHealth: ...

    def supports(self, feature: Feature) -> Support: ...
