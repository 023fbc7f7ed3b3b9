"""Reads request bodies of OpenAI's API into checked values. Pure: bytes and dicts in, values or ApiError out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from engines.hf.errors import ApiError, bad, unsupported

MAX_STOPS = 16
MAX_STOP_LENGTH = 1024
COMPLETION_TOKENS = 16
MAX_TEMPERATURE = 2.0
EFFORTS = ("low", "medium", "high")
ROLES = ("system", "developer", "user", "assistant", "tool")
# Arguments of apply_chat_template itself; a client must not choose the template or the kind of result.
RESERVED_TEMPLATE_OPTIONS = frozenset(
    {
        *("conversation", "messages", "tools", "documents", "chat_template", "add_generation_prompt"),
        *("continue_final_message", "tokenize", "padding", "truncation", "max_length", "return_tensors"),
        *("return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs"),
    }
)

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How to generate, the same for chat and completions. max_tokens None: up to the end of the context."""

    max_tokens: int | None
    temperature: float
    top_k: int
    top_p: float
    stops: tuple[str, ...]
    ignore_eos: bool
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True)
class ChatRequest:
    messages: list[dict[str, Any]]
    template_options: dict[str, Any]
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    prompt: str | list[int]
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    prompt: str | None
    messages: list[dict[str, Any]] | None
    add_special_tokens: bool
    add_generation_prompt: bool
    template_options: dict[str, Any]
    with_strings: bool


def parse_body(raw: bytes) -> Body:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad(f"the body is not valid JSON: {error}", code="invalid_json") from error
    if not isinstance(body, dict):
        raise bad("the body must be a JSON object", code="invalid_json")
    return body


def check_model(body: Body, served: str, *, required: bool = True) -> None:
    model = body.get("model")
    if model is None and not required:
        return
    if not isinstance(model, str) or not model:
        raise bad("model must be the name of a served model", "model")
    if model != served:
        raise ApiError(404, f"the model {model[:100]!r} is not served here", param="model", code="model_not_found")


def parse_chat(body: Body) -> ChatRequest:
    refuse_unsupported(body)
    return ChatRequest(_messages(body), _template_options(body), _wishes(body, default_tokens=None))


def parse_completion(body: Body) -> CompletionRequest:
    refuse_unsupported(body)
    return CompletionRequest(_prompt(body), _wishes(body, default_tokens=COMPLETION_TOKENS))


def parse_tokenize(body: Body) -> TokenizeRequest:
    if ("prompt" in body) == ("messages" in body):
        raise bad("give either prompt or messages", "prompt")
    prompt = body.get("prompt")
    if "prompt" in body and not isinstance(prompt, str):
        raise bad("prompt must be a string", "prompt")
    return TokenizeRequest(
        prompt=prompt,
        messages=_messages(body) if "messages" in body else None,
        add_special_tokens=_flag(body, "add_special_tokens", default=True),
        add_generation_prompt=_flag(body, "add_generation_prompt", default=True),
        template_options=_template_options(body),
        with_strings=_flag(body, "return_token_strs", default=False),
    )


def parse_token_ids(body: Body, param: str, vocabulary: int) -> list[int]:
    return check_token_ids(body.get(param), param, vocabulary)


def check_token_ids(tokens: Any, param: str, vocabulary: int) -> list[int]:
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        raise bad(f"{param} must be a list of token ids", param)
    if not all(0 <= token < vocabulary for token in tokens):
        raise bad(f"{param} holds ids outside 0..{vocabulary - 1}", param)
    return tokens


# What the batching manager cannot do for one request alone, with the values that mean "not asked for".
_UNSUPPORTED: dict[str, Callable[[Any], bool]] = {
    "logprobs": lambda value: value is not False,
    "top_logprobs": lambda value: value != 0,
    "prompt_logprobs": lambda value: value is not False,
    "response_format": lambda value: not (isinstance(value, dict) and value.get("type") == "text"),
    "structured_outputs": bool,
    "guided_json": bool,
    "guided_regex": bool,
    "guided_choice": bool,
    "guided_grammar": bool,
    "seed": lambda value: True,
    "n": lambda value: value != 1,
    "best_of": lambda value: value != 1,
    "tools": bool,
    "functions": bool,
    "tool_choice": lambda value: value not in ("none", "auto"),
    "function_call": lambda value: value not in ("none", "auto"),
    "presence_penalty": lambda value: value != 0,
    "frequency_penalty": lambda value: value != 0,
    "repetition_penalty": lambda value: value != 1,
    "min_p": lambda value: value != 0,
    "min_tokens": lambda value: value != 0,
    "logit_bias": bool,
    "stop_token_ids": bool,
    "echo": bool,
    "suffix": bool,
    "audio": bool,
    "prediction": bool,
}


def refuse_unsupported(body: Body) -> None:
    for param, asks in _UNSUPPORTED.items():
        value = body.get(param)
        if value is not None and asks(value):
            raise unsupported(param)


def _wishes(body: Body, *, default_tokens: int | None) -> Wishes:
    stream = _flag(body, "stream", default=False)
    limit = _integer(body, "max_completion_tokens", low=1)
    limit = _integer(body, "max_tokens", low=1) if limit is None else limit
    top_k = _integer(body, "top_k", low=-1)
    temperature = _number(body, "temperature", default=1.0, low=0.0, high=MAX_TEMPERATURE)
    top_p = _number(body, "top_p", default=1.0, low=0.0, high=1.0)
    if top_p == 0:
        raise bad("top_p must be above 0", "top_p")
    return Wishes(
        max_tokens=default_tokens if limit is None else limit,
        temperature=temperature,
        top_k=max(top_k or 0, 0),
        top_p=top_p,
        stops=_stops(body),
        ignore_eos=_flag(body, "ignore_eos", default=False),
        stream=stream,
        include_usage=_include_usage(body, stream=stream),
    )


def _include_usage(body: Body, *, stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise bad("stream_options needs stream to be true", "stream_options")
    if not isinstance(options, dict):
        raise bad("stream_options must be an object", "stream_options")
    return _flag(options, "include_usage", default=False, prefix="stream_options.")


def _messages(body: Body) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bad("messages must be a list with at least one message", "messages")
    return [_message(message, f"messages.{index}") for index, message in enumerate(messages)]


def _message(message: Any, where: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise bad(f"{where} must be an object", where)
    role = message.get("role")
    if role not in ROLES:
        raise bad(f"{where}.role must be one of {', '.join(ROLES)}", f"{where}.role")
    return {"role": role, "content": _content(message.get("content"), f"{where}.content")}


def _content(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise bad(f"{where} must be a string or a list of text parts", where)
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise bad(f"{where} may hold only text parts; this engine reads text alone", where)
    return "".join(part["text"] for part in content)


def _prompt(body: Body) -> str | list[int]:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str | list):
        prompt = prompt[0]
    if isinstance(prompt, list) and any(isinstance(part, str | list) for part in prompt):
        raise bad("one prompt per request", "prompt")
    if not isinstance(prompt, str | list) or not prompt:
        raise bad("prompt must be a non-empty string or list of token ids", "prompt")
    return prompt


def _template_options(body: Body) -> dict[str, Any]:
    options = body.get("chat_template_kwargs") or {}
    if not isinstance(options, dict):
        raise bad("chat_template_kwargs must be an object", "chat_template_kwargs")
    if not all(isinstance(value, str | bool | int | float) for value in options.values()):
        raise bad("chat_template_kwargs may hold plain values only", "chat_template_kwargs")
    if not RESERVED_TEMPLATE_OPTIONS.isdisjoint(options):
        names = ", ".join(sorted(RESERVED_TEMPLATE_OPTIONS.intersection(options)))
        raise bad(f"chat_template_kwargs may not set {names}", "chat_template_kwargs")
    effort = body.get("reasoning_effort")
    if effort is None:
        return options
    if effort not in EFFORTS:
        raise bad(f"reasoning_effort must be one of {', '.join(EFFORTS)}", "reasoning_effort")
    return {**options, "reasoning_effort": effort}


def _stops(body: Body) -> tuple[str, ...]:
    stops = body.get("stop")
    if stops is None:
        return ()
    stops = [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise bad(f"stop must be a string or a list of up to {MAX_STOPS} strings", "stop")
    if not all(isinstance(stop, str) and 0 < len(stop) <= MAX_STOP_LENGTH for stop in stops):
        raise bad(f"each stop must be a string of 1 to {MAX_STOP_LENGTH} characters", "stop")
    return tuple(stops)


def _flag(body: Body, param: str, *, default: bool, prefix: str = "") -> bool:
    value = body.get(param)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise bad(f"{prefix}{param} must be true or false", prefix + param)
    return value


def _integer(body: Body, param: str, *, low: int) -> int | None:
    value = body.get(param)
    if value is None:
        return None
    if type(value) is not int or not low <= value < 2**31:
        raise bad(f"{param} must be a whole number of at least {low}", param)
    return value


def _number(body: Body, param: str, *, default: float, low: float, high: float) -> float:
    value = body.get(param)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad(f"{param} must be a number", param)
    if not low <= value <= high:
        raise bad(f"{param} must be between {low:g} and {high:g}", param)
    return float(value)
