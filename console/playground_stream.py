"""What comes back from the gateway for one question, and the figures made of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from engines.client import Chunk, Usage

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})


class StreamError(Exception):
    """The answer ended in an error. `retryable` says whether the same question may work later."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code, self.message, self.retryable = code, message, retryable


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer as far as it has come. Times are seconds of the server's monotonic clock."""

    sent: float
    request_id: str
    decision_id: str = ""
    engine: str = ""
    rule: str = ""
    disabled: tuple[str, ...] = ()
    text: list[str] = field(default_factory=list)
    first: float | None = None
    last: float | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    complete: bool = False

    def take(self, chunk: Chunk, *, now: float) -> None:
        if chunk.has_content:
            self.first = now if self.first is None else self.first
            self.last = now
        if chunk.text:
            self.text.append(chunk.text)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.usage = chunk.usage or self.usage


def read_event(payload: bytes) -> tuple[Chunk, str]:
    """One event of the gateway: its content, and the engine where the event names it. Raises StreamError."""
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise StreamError("malformed", "The gateway sent an event that is not JSON.", retryable=True) from None
    if not isinstance(event, dict):
        raise StreamError("malformed", "The gateway sent an event that is not an object.", retryable=True)
    if event.get("error"):
        raise stated_error(event, status=None)
    choices = event.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    chunk = Chunk(
        text=delta.get("content") or "",
        reasoning=delta.get("reasoning_content") or delta.get("reasoning") or "",
        usage=read_usage(event.get("usage")),
        finish_reason=choices[0].get("finish_reason"),
    )
    return chunk, str(event.get("chosen_engine") or "")


def read_usage(raw: Mapping[str, Any] | None) -> Usage | None:
    if not raw:
        return None
    details = raw.get("prompt_tokens_details") or {}
    return Usage(raw.get("prompt_tokens"), raw.get("completion_tokens"), details.get("cached_tokens"))


def read_refusal(body: bytes, *, status: int) -> StreamError:
    """The error of an answer that is not a stream."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        event = {}
    return stated_error(event if isinstance(event, dict) else {}, status=status)


def stated_error(event: Mapping[str, Any], *, status: int | None) -> StreamError:
    """In the words of the gateway, which are written for people. An error inside a stream has no status."""
    raw = event.get("error")
    error: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {"message": raw}
    code = error.get("code") or error.get("type") or (f"http_{status}" if status else "engine_error")
    message = error.get("message") or f"The gateway answered {status} without saying why."
    return StreamError(str(code), str(message), retryable=status is None or status in RETRYABLE)


def timings(answer: Answer, *, now: float) -> dict[str, float | None]:
    """Milliseconds, and tokens a second of decoding. None where it was not measured.

    TPOT = (last token − first token) / (output tokens − 1), with the count that the engine stated.
    """
    ttft = None if answer.first is None else (answer.first - answer.sent) * 1000
    tpot = None
    count = answer.usage.output_tokens if answer.usage else None
    if answer.first is not None and answer.last is not None and count is not None and count > 1:
        tpot = (answer.last - answer.first) * 1000 / (count - 1) or None  # all in one chunk: no speed was seen
    return {
        "ttft_ms": ttft,
        "tpot_ms": tpot,
        "tokens_per_second": 1000 / tpot if tpot else None,
        "total_ms": (now - answer.sent) * 1000,
    }


def usage_frame(usage: Usage | None) -> dict[str, int | None]:
    known = usage or Usage()
    return {"input": known.input_tokens, "output": known.output_tokens, "cached": known.cached_tokens}
