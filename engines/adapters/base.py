"""The adapter contract: what differs between engine kinds, as pure functions over dicts and bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engines.client import Chunk, Failure, Feature, HealthInput, Operation, Support, Usage


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to send: the allow-listed body, and the best-effort features that were stripped.

    `dropped` names the fields left out because this kind does not know them or a client may not set them.
    """

    path: str
    body: dict[str, Any]
    disabled: tuple[str, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """What /v1/models says: the names served, and the context length of the first where it is told."""

    models: tuple[str, ...]
    context_length: int | None = None


class Adapter(Protocol):
    """One engine kind. Instances are stateless and shared."""

    kind: str
    title: str
    health_path: str
    metrics_path: str
    checks_model: bool
    """Refuses a request for a model that it does not serve."""

    def prepare(
        self, operation: Operation, body: Mapping[str, Any], *, served_model: str, record: Mapping[str, str]
    ) -> Prepared:
        """Allow-list `body` (an OpenAI request), set the model, strip what this kind lacks."""
        ...

    def headers(self, *, api_key: str | None, request_id: str) -> dict[str, str]: ...

    def parse_response(self, operation: Operation, body: Mapping[str, Any]) -> tuple[Chunk, Usage]:
        """Raises EngineFailure when the body of a 200 is no answer."""
        ...

    def parse_event(self, operation: Operation, event: Mapping[str, Any]) -> Chunk | Failure: ...

    def parse_error(
        self, *, status: int, content_type: str, body: bytes, retry_after: str | None = None
    ) -> Failure: ...

    def supports(self, feature: Feature, record: Mapping[str, str]) -> Support:
        """`record`: feature name → yes, no or unknown as declared; "yes:detected" names another source."""
        ...

    def tokenize_request(self, text: str, *, served_model: str) -> tuple[str, dict[str, Any]] | None:
        """(path, body), or None where the kind has no such endpoint."""
        ...

    def parse_tokens(self, body: Mapping[str, Any]) -> list[int]:
        """Raises EngineFailure when there are no tokens in it."""
        ...

    def parse_models(self, body: Mapping[str, Any]) -> Listing: ...

    def parse_metrics(self, text: str) -> tuple[HealthInput, ...]:
        """One input per name in engines.prometheus.METRICS; value None where it is not told."""
        ...
