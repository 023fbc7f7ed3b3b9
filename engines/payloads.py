"""JSON as engines write it → dicts, with the answers that no parser should choke on."""

import re
from typing import Any

import orjson

from engines.client import EngineFailure, Failure, FailureKind

LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def decode(data: bytes) -> dict[str, Any]:
    """One JSON object. NaN, other junk and deep nesting raise EngineFailure; a lone surrogate becomes U+FFFD."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _decode_with_surrogates(data)
    if not isinstance(value, dict):
        raise EngineFailure(Failure(FailureKind.MALFORMED, "The engine's answer is not a JSON object."))
    return value


def _decode_with_surrogates(data: bytes) -> Any:
    try:
        return orjson.loads(LONE_SURROGATE.sub(rb"\\ufffd", data))
    except orjson.JSONDecodeError:
        raise EngineFailure(Failure(FailureKind.MALFORMED, "The engine's answer is not valid JSON.")) from None
