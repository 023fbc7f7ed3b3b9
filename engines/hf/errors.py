"""Refusals in OpenAI's form: one exception, one shape, for every route."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after


TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


def body(error: ApiError) -> dict[str, Any]:
    kind = TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code or error.status}}


def bad(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def unsupported(param: str) -> ApiError:
    message = f"{param} is not supported by this engine; leave it out or choose an engine that has it"
    return bad(message, param, "unsupported_parameter")


def overloaded(message: str) -> ApiError:
    return ApiError(503, message, code="overloaded", retry_after=1)
