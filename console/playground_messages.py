"""What a browser may send over the playground's websocket: parsed, bounded, turned into OpenAI requests. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_MESSAGE_BYTES = 64 * 1024
MAX_PANES = 4
MAX_TURNS = 200
MAX_STOPS = 4
MAX_TOKENS = 4096
DEFAULT_MAX_TOKENS = 512

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")
IDENTIFIER = re.compile(r"^[A-Za-z0-9-]{1,64}$")


class BadMessage(Exception):
    """A message that cannot be used. `field` names the part that is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field, self.problem = field, problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one pane asks. `engine` None lets the router decide; `body` is the OpenAI request."""

    pane: int
    engine: str | None
    session: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    run: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """`pane` None stops the whole run."""

    run: str
    pane: int | None


def parse(text: str) -> Start | Stop:
    if len(text.encode(errors="replace")) > MAX_MESSAGE_BYTES:
        raise BadMessage("message", f"The message is longer than {MAX_MESSAGE_BYTES // 1024} KiB. Clear the panes.")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadMessage("message", "The message is not JSON.") from None
    if not isinstance(message, dict):
        raise BadMessage("message", "The message must be a JSON object.")
    kind = message.get("type")
    reader = READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadMessage("type", "The type must be start or stop.")
    return reader(message)


def _start(message: Mapping[str, Any]) -> Start:
    run = _matching(message, "run", IDENTIFIER)
    conversation = _matching(message, "conversation", IDENTIFIER)
    shared = {"model": _matching(message, "route", NAME), **_parameters(message.get("params"))}
    system = shared.pop("system", None)
    panes = message.get("panes")
    if not isinstance(panes, list) or not 1 <= len(panes) <= MAX_PANES:
        raise BadMessage("panes", f"Send 1 to {MAX_PANES} panes.")
    questions = tuple(_question(pane, conversation, shared, system) for pane in panes)
    if len({question.pane for question in questions}) < len(questions):
        raise BadMessage("panes", "Each pane may appear once.")
    return Start(run, questions)


def _stop(message: Mapping[str, Any]) -> Stop:
    pane = None if message.get("pane") is None else _whole(message, "pane", 1, MAX_PANES)
    return Stop(_matching(message, "run", IDENTIFIER), pane)


READERS: Mapping[str, Callable[[Mapping[str, Any]], Start | Stop]] = {"start": _start, "stop": _stop}


def _question(raw: Any, conversation: str, shared: Mapping[str, Any], system: str | None) -> Question:
    if not isinstance(raw, dict):
        raise BadMessage("panes", "Each pane must be an object.")
    number = _whole(raw, "pane", 1, MAX_PANES)
    engine = _matching(raw, "engine", NAME)
    turns = _turns(raw.get("messages"))
    first = [{"role": "system", "content": system}] if system else []
    body = {**shared, "messages": [*first, *turns], "stream": True, "stream_options": {"include_usage": True}}
    return Question(
        pane=number,
        engine=None if engine == "auto" else engine,
        session=f"{conversation}-{number}",
        body=body,
    )


def _turns(raw: Any) -> list[dict[str, str]]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_TURNS:
        raise BadMessage("messages", f"Send 1 to {MAX_TURNS} messages per pane.")
    for turn in raw:
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
            raise BadMessage("messages", "The role of each message must be user or assistant.")
        if not isinstance(turn.get("content"), str):
            raise BadMessage("messages", "The content of each message must be text.")
    if raw[-1]["role"] != "user" or not raw[-1]["content"].strip():
        raise BadMessage("messages", "Write a prompt.")
    return [{"role": turn["role"], "content": turn["content"]} for turn in raw]


def _parameters(raw: Any) -> dict[str, Any]:
    """Those that were given; an engine's own default stands for the others."""
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise BadMessage("params", "The parameters must be an object.")
    found: dict[str, Any] = {"max_tokens": DEFAULT_MAX_TOKENS}
    if raw.get("max_tokens") is not None:
        found["max_tokens"] = _whole(raw, "max_tokens", 1, MAX_TOKENS)
    for name, high in (("temperature", 2.0), ("top_p", 1.0)):
        if raw.get(name) is not None:
            found[name] = _number(raw, name, high)
    if raw.get("stop"):
        found["stop"] = _stops(raw["stop"])
    if raw.get("system"):
        found["system"] = _text(raw, "system")
    return found


def _stops(raw: Any) -> list[str]:
    if (
        not isinstance(raw, list)
        or len(raw) > MAX_STOPS
        or not all(isinstance(stop, str) and 0 < len(stop) <= 64 for stop in raw)
    ):
        raise BadMessage("stop", f"Give at most {MAX_STOPS} stop strings of 1 to 64 characters.")
    return raw


def _matching(raw: Mapping[str, Any], field: str, pattern: re.Pattern[str]) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadMessage(field, f"The field {field} is missing or has characters that are not allowed.")
    return value


def _text(raw: Mapping[str, Any], field: str) -> str:
    if not isinstance(raw[field], str):
        raise BadMessage(field, f"The field {field} must be text.")
    return str(raw[field])


def _whole(raw: Mapping[str, Any], field: str, low: int, high: int) -> int:
    value = raw.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadMessage(field, f"The field {field} must be a whole number from {low} to {high}.")
    return value


def _number(raw: Mapping[str, Any], field: str, high: float) -> float:
    value = raw[field]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= high:
        raise BadMessage(field, f"The field {field} must be a number from 0 to {high:g}.")
    return float(value)
