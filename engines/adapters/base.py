"""The adapter contract: what differs between engine kinds, as pure functions over dicts and bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engines.client import Chunk, Failure, Feature, HealthInput, Operation, Support, Usage


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to send: the allow-listed body, and the best-effort features that were stripped."""

    path: str
    body: dict[str, Any]
    disabled: tuple[str, ...]


class Adapter(Protocol):
    """One engine kind. Instances are stateless and shared."""

    kind: str
    title: str

    def prepare(self, operation: Operation, body: Mapping[str, Any], *, served_model: str,
                record: Mapping[str, str]) -> Prepared:
        """Allow-list `body` (an OpenAI request), set the model, strip what this kind lacks."""
        ...

    def headers(self, *, api_key: str | None, request_id: str) -> dict[str, str]: ...

    def parse_response(self, operation: Operation, body: Mapping[str, Any]) -> tuple[Chunk, Usage]: ...

    def parse_event(self, operation: Operation, event: Mapping[str, Any]) -> Chunk | Failure: ...

    def parse_error(self, *, status: int, content_type: str, body: bytes,
                    retry_after: str | None = None) -> Failure: ...

    def supports(self, feature: Feature, record: Mapping[str, str]) -> Support:
        """`record` is what was declared or detected for the engine: feature name → yes, no or unknown."""
        ...

    def tokenize_request(self, text: str, *, served_model: str) -> tuple[str, dict[str, Any]] | None:
        """(path, body), or None where the kind has no such endpoint."""
        ...

    def parse_tokens(self, body: Mapping[str, Any]) -> list[int]: ...

    def parse_metrics(self, text: str) -> tuple[HealthInput, ...]:
        """running, waiting, kv_use (ratio), steps, prefix_hits, prefix_queries …; absent ones have value None."""
        ...
