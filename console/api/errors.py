"""Errors of the control API, all of one form: {"error": {"code", "message"}}, with the status that fits."""

import logging
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

log = logging.getLogger(__name__)

CODES = {400: "bad_request", 401: "invalid_api_key", 403: "forbidden", 404: "not_found", 429: "too_many_requests"}


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Unauthorized(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(401, CODES[401], message)


def install(api: NinjaAPI, *, no_key: str) -> None:
    api.add_exception_handler(ApiError, _api_error)
    api.add_exception_handler(AuthenticationError, lambda *_: answer(401, CODES[401], no_key))
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Http404, lambda *_: answer(404, CODES[404], "There is nothing at this address."))
    api.add_exception_handler(Exception, _our_fault)


def answer(status: int, code: str, message: str) -> HttpResponse:
    found = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    if status == 401:
        found["WWW-Authenticate"] = "Bearer"
    return found


def _api_error(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status, error.code, str(error))


def _http_error(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status_code, CODES.get(error.status_code, "error"), error.message)


def _invalid(_request: HttpRequest, error: Any) -> HttpResponse:
    """Field by field, in the validator's words but without the value: it may be a secret put in the wrong place."""
    words = [f"{'.'.join(str(part) for part in row['loc'][2:]) or 'body'}: {row['msg']}" for row in error.errors]
    return answer(422, "invalid_request", "; ".join(words))


def _our_fault(request: HttpRequest, error: Any) -> HttpResponse:
    log.error("The control API failed at %s.", request.path, exc_info=error)
    return answer(500, "internal_error", "The console failed. Its log says why.")
