"""Builds response bodies and stream events. Pure; a stream's constant parts are serialised once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from engines.hf import errors
from engines.hf.errors import ApiError

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Usage:
    prompt: int
    completion: int
    cached: int | None
    reasoning: int | None

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }
        if self.cached is not None:
            body["prompt_tokens_details"] = {"cached_tokens": self.cached}
        if self.reasoning is not None:
            body["completion_tokens_details"] = {"reasoning_tokens": self.reasoning}
        return body


@dataclass(frozen=True, slots=True)
class Head:
    """What every body and event of one answer repeats."""

    id: str
    created: int
    model: str
    chat: bool

    def fields(self, *, chunk: bool) -> dict[str, Any]:
        kind = ("chat.completion.chunk" if chunk else "chat.completion") if self.chat else "text_completion"
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


class Events:
    """Stream events of one answer, as bytes ready to send."""

    def __init__(self, head: Head) -> None:
        self._head = head
        fields = orjson.dumps(head.fields(chunk=True))[:-1]
        before = b'{"content":' if head.chat else b'"text":'
        opening = b',"choices":[{"index":0,' + (b'"delta":' if head.chat else b"")
        self._before = b"data: " + fields + opening + before
        closing = b"}" if head.chat else b""
        self._after = closing + b',"logprobs":null,"finish_reason":null}]}\n\n'
        self._before_reasoning = b"data: " + fields + opening + b'{"reasoning":'

    def role(self) -> bytes:
        if not self._head.chat:
            return b""
        return self._choice({"role": "assistant", "content": ""}, None, None)

    def text(self, text: str) -> bytes:
        return self._before + orjson.dumps(text) + self._after

    def reasoning(self, text: str) -> bytes:
        return self._before_reasoning + orjson.dumps(text) + self._after

    def finish(self, reason: str, stop: str | None) -> bytes:
        return self._choice({} if self._head.chat else None, reason, stop)

    def usage(self, usage: Usage) -> bytes:
        return _event({**self._head.fields(chunk=True), "choices": [], "usage": usage.body()})

    def _choice(self, delta: dict[str, str] | None, reason: str | None, stop: str | None) -> bytes:
        said = {"text": ""} if delta is None else {"delta": delta}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
        if reason is not None:
            choice["stop_reason"] = stop
        return _event({**self._head.fields(chunk=True), "choices": [choice]})


def error_event(error: ApiError) -> bytes:
    return _event(errors.body(error))


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def answer(
    head: Head, *, content: str, reasoning: str | None, finish_reason: str, stop: str | None, usage: Usage
) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish_reason, "stop_reason": stop}
    if head.chat:
        choice["message"] = {"role": "assistant", "content": content}
        if reasoning is not None:
            choice["message"]["reasoning"] = reasoning
    else:
        choice["text"] = content
    return {**head.fields(chunk=False), "choices": [choice], "usage": usage.body()}


def model_list(name: str, *, created: int, root: str, max_model_len: int) -> dict[str, Any]:
    entry = {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "hf",
        "root": root,
        "parent": None,
        "max_model_len": max_model_len,
        "permission": [],
    }
    return {"object": "list", "data": [entry]}
