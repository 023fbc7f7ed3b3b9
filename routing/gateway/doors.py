"""The gateway's only ways out to the database, as plain callables, and the options it is built with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Doors(Protocol):
    """Given by the composition root. All may block, and may raise: they run in a thread."""

    def load_table(self, after: int) -> dict[str, Any] | None:
        """The newest table if its version is above `after`, else None."""
        ...

    def load_health(self, after: int) -> dict[str, Any] | None:
        """The newest health if its sequence is above `after`, else None."""
        ...

    def save_outcomes(self, batch: list[dict[str, Any]]) -> None: ...

    def report(self, state: dict[str, Any]) -> None: ...

    def unseal(self, ciphertext: str) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`token_key` verifies internal tokens. `address_allowed` says of an IP address whether it may be an engine's.

    `trace_ratio` of the requests that bring no trace of their own begin one; the tracer then records all of those.
    """

    gateway_id: str
    token_key: bytes
    poll_seconds: float = 1.0
    flush_seconds: float = 1.0
    keep_alive_seconds: float = 10.0
    idle_seconds: float = 30.0
    outcome_queue: int = 50_000
    trace_ratio: float = 1.0
    address_allowed: Callable[[str], bool] | None = None
