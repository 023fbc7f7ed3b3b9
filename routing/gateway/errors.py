"""Errors as clients see them: OpenAI's form, one status per meaning, nothing of an engine's own words but safe ones."""

from dataclasses import dataclass

import orjson

from engines.client import Failure, FailureKind
from routing.decision import Unroutable

INVALID = "invalid_request_error"
RETRY_AFTER_SECONDS = 2.0
MAX_RETRY_AFTER_SECONDS = 60.0


class ApiError(Exception):
    """A request that ends with an error object. `retry_after` is seconds, None where trying again is useless."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        retry_after: float | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.kind, self.param, self.retry_after, self.headers = kind, param, retry_after, headers

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})

    def advice(self) -> list[tuple[bytes, bytes]]:
        """Headers that tell a client whether and when to try again, and this error's own."""
        if self.retry_after is None:
            return [*self.headers, (b"x-should-retry", b"false")]
        seconds = b"%d" % max(1, round(self.retry_after + 0.5))
        return [*self.headers, (b"x-should-retry", b"true"), (b"retry-after", seconds)]

    def event(self) -> bytes:
        """The same as a server-sent event, for a stream that has begun."""
        return b"data: " + self.body() + b"\n\n"


class ClientGone(Exception):
    """The client closed its connection before the answer was complete."""


@dataclass(frozen=True, slots=True)
class _Shape:
    status: int
    code: str
    kind: str
    message: str
    retry: bool = False


_SHAPES = {
    FailureKind.UNAUTHORIZED: _Shape(502, "upstream_auth", "upstream_error", "The engine refused the gateway's key."),
    FailureKind.NOT_FOUND: _Shape(
        502, "upstream_bad_response", "upstream_error", "The engine does not serve this model."),
    FailureKind.SATURATED: _Shape(503, "overloaded", "overloaded_error", "The engine is busy. Try again soon.", True),
    FailureKind.UNAVAILABLE: _Shape(
        503, "no_healthy_engine", "overloaded_error", "No engine can answer now. Try again soon.", True),
    FailureKind.REFUSED: _Shape(
        503, "no_healthy_engine", "overloaded_error", "No engine can be reached now. Try again soon.", True),
    FailureKind.RESET: _Shape(502, "upstream_reset", "upstream_error", "The engine closed the connection."),
    FailureKind.TIMEOUT: _Shape(504, "deadline_exceeded", "timeout_error", "The engine did not answer in time."),
    FailureKind.TRUNCATED: _Shape(
        502, "upstream_truncated", "upstream_error", "The engine ended the answer before it was complete."),
    FailureKind.MALFORMED: _Shape(
        502, "upstream_bad_response", "upstream_error", "The engine's answer could not be understood."),
    FailureKind.INTERNAL: _Shape(502, "upstream_error", "upstream_error", "The engine failed."),
}  # fmt: skip


def from_failure(failure: Failure) -> ApiError:
    if failure.kind is FailureKind.BAD_REQUEST:
        status = failure.status if failure.status in {413, 422} else 400
        return ApiError(status, failure.code or "invalid_value", failure.message, param=failure.param)
    shape = _SHAPES[failure.kind]
    wait = None
    if shape.retry:
        wait = min(failure.retry_after_seconds or RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS)
    return ApiError(shape.status, shape.code, shape.message, kind=shape.kind, retry_after=wait)


def from_unroutable(refusal: Unroutable) -> ApiError:
    if refusal.status == 503:
        return ApiError(503, refusal.code, refusal.message, kind="overloaded_error", retry_after=RETRY_AFTER_SECONDS)
    return ApiError(refusal.status, refusal.code, refusal.message, param=refusal.param)
