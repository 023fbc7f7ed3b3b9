"""Five shapes of engine errors → one Failure, with a message that is safe to show."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from engines.client import Failure, FailureKind

MAX_MESSAGE = 300
MAX_RETRY_AFTER = 300.0
DEFAULT_RETRY_AFTER = 5.0

KIND_BY_STATUS = {
    401: FailureKind.UNAUTHORIZED,
    403: FailureKind.UNAUTHORIZED,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    429: FailureKind.SATURATED,
    500: FailureKind.INTERNAL,
    501: FailureKind.BAD_REQUEST,
    502: FailureKind.UNAVAILABLE,
    503: FailureKind.UNAVAILABLE,
    504: FailureKind.TIMEOUT,
}
SENTENCES = {
    FailureKind.UNAUTHORIZED: "The engine refused the console's key.",
    FailureKind.SATURATED: "The engine has no room for another request now.",
    FailureKind.UNAVAILABLE: "The engine is not available.",
    FailureKind.INTERNAL: "The engine failed while it worked on the request.",
    FailureKind.TIMEOUT: "The engine did not answer in time.",
    FailureKind.MALFORMED: "The engine's answer could not be understood.",
}
SATURATION = re.compile(
    r"queue|busy|backlog|overload|capacity|too many|rate.?limit|max_num|slow down|scaling", re.IGNORECASE
)
BROKEN = re.compile(r"internal|executor|cuda|out of memory|engine ?core|engine ?dead", re.IGNORECASE)
STOPPING = re.compile(r"after shutdown|shutting down", re.IGNORECASE)
SECRETS = (
    (re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+"), " "),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)]+", re.IGNORECASE), "<url>"),
    (re.compile(r"\b(?:Bearer|Basic)\s+\S+", re.IGNORECASE), "<key>"),
    (re.compile(r"\b(?:sk|hf|pk|gh[pousr]|nvapi|xox[abp])[-_][\w-]{6,}"), "<key>"),
    (re.compile(r"(?i)\b(api[_-]?key|password|secret)(['\"]?\s*[:=]\s*)['\"]?[^\s'\",}]{6,}"), r"\1\2<key>"),
    (re.compile(r"\b[\w.-]*\.(?:local|internal|lan|svc|cluster|corp)\b(?::\d+)?"), "<host>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<host>"),
    (re.compile(r"\b(?:localhost|[a-zA-Z][\w-]*(?:\.[\w-]+)+):\d{2,5}\b"), "<host>"),
    (re.compile(r"\[[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*\](?::\d+)?"), "<host>"),
    (re.compile(r"(?<![\w/<.])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}[/\\]?"), "<path>"),
)  # fmt: skip


def sanitise(text: str) -> str:
    """At most 300 characters of one line, without hosts, paths and keys."""
    text = text[: MAX_MESSAGE * 10]
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    text = text.strip()
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def failure_from_response(
    *,
    status: int,
    content_type: str,
    body: bytes,
    retry_after: str | None = None,
    now: datetime | None = None,
) -> Failure:
    """The failure that an HTTP answer other than a good 200 means."""
    message, error = _read(content_type, body)
    if 300 <= status < 400:
        return Failure(FailureKind.MALFORMED, "The engine answered with a redirect, which is not followed.", status)
    if status < 300:
        return Failure(FailureKind.MALFORMED, SENTENCES[FailureKind.MALFORMED], status)
    seconds = None
    if retry_after is not None:
        seconds = retry_after_seconds(retry_after, now or datetime.now(UTC))
    kind = _kind(status, message, str(error.get("type") or ""))
    if status == 503 and seconds is not None:
        kind = FailureKind.SATURATED
    return _failure(kind, message, status, error, seconds)


def failure_from_event(event: Mapping[str, Any]) -> Failure | None:
    """The failure that a stream event (or a body of status 200) states, or None when it is no error."""
    inner = event.get("error")
    if inner is None and event.get("object") != "error" and "detail" not in event:
        return None
    message, error = _message(event)
    status = error.get("code") if isinstance(error.get("code"), int) else 500
    status = status if isinstance(status, int) and 400 <= status < 600 else 500
    return _failure(_kind(status, message, str(error.get("type") or "")), message, status, error, None)


def retry_after_seconds(value: str, now: datetime) -> float:
    """Seconds or an HTTP date, kept within 0 to 300; 5 for what cannot be read."""
    try:
        seconds = float(value) if re.fullmatch(r"\s*-?\d{1,12}(\.\d+)?\s*", value) else _seconds_until(value, now)
    except (ValueError, TypeError, OverflowError):
        return DEFAULT_RETRY_AFTER
    return min(seconds, MAX_RETRY_AFTER) if seconds >= 0 else DEFAULT_RETRY_AFTER


def _seconds_until(value: str, now: datetime) -> float:
    moment = parsedate_to_datetime(value)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


def _kind(status: int, message: str, error_type: str) -> FailureKind:
    if STOPPING.search(message):
        return FailureKind.UNAVAILABLE
    if status == 503 and (error_type == "Service Unavailable" or SATURATION.search(message)):
        return FailureKind.SATURATED
    if status == 400 and (BROKEN.search(error_type) or re.search("executor|cuda", message, re.IGNORECASE)):
        return FailureKind.INTERNAL
    fallback = FailureKind.BAD_REQUEST if status < 500 else FailureKind.INTERNAL
    return KIND_BY_STATUS.get(status, fallback)


def _failure(kind: FailureKind, message: str, status: int, error: Mapping[str, Any], seconds: float | None) -> Failure:
    """Only a caller's own mistakes are told in the engine's words."""
    theirs = kind in (FailureKind.BAD_REQUEST, FailureKind.NOT_FOUND)
    text = (sanitise(message) if theirs else "") or SENTENCES.get(kind) or f"The engine answered HTTP {status}."
    param, code = error.get("param"), error.get("code")
    return Failure(
        kind,
        text,
        status,
        param=sanitise(param)[:64] if isinstance(param, str) else None,
        code=sanitise(code)[:64] if isinstance(code, str) else None,
        retry_after_seconds=seconds,
    )


def _read(content_type: str, body: bytes) -> tuple[str, Mapping[str, Any]]:
    if "json" in content_type or body[:1] in (b"{", b"["):
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            return "", {}
        return _message(parsed) if isinstance(parsed, Mapping) else ("", {})
    return ("", {}) if "html" in content_type else (body[:3000].decode("utf-8", "replace"), {})


def _message(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Shapes: {error: {…}}, {error: text}, flat {object: error, …}, {detail: text or list}."""
    error = body.get("error", body)
    if isinstance(error, str):
        return error, {}
    if not isinstance(error, Mapping):
        return "", {}
    if "detail" in error:
        return _detail(error["detail"])
    message = error.get("message")
    return message if isinstance(message, str) else "", error


def _detail(detail: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(detail, list) and detail and isinstance(detail[0], Mapping):
        place = [str(step) for step in detail[0].get("loc", ()) if step != "body"]
        param = ".".join(place)
        return f"{param}: {detail[0].get('msg', '')}".removeprefix(": "), {"param": param or None}
    return (detail, {}) if isinstance(detail, str) else ("", {})
