"""Types and ranges of an OpenAI request, checked at the edge so that no engine sees nonsense. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from engines.client import Operation
from routing.gateway.errors import ApiError

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MAX_TOKENS = 10_000_000
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 1024
MAX_USER_CHARACTERS = 512
MAX_ROUTE_CHARACTERS = 200

Check = Callable[[Any], str | None]  # what is wrong, None when nothing is


def clean(operation: Operation, body: Mapping[str, Any]) -> dict[str, Any]:
    """The request without its null fields. Raises ApiError 400 naming the field that is wrong."""
    request = {name: value for name, value in body.items() if value is not None}
    model = request.get("model")
    if type(model) is not str or not 0 < len(model) <= MAX_ROUTE_CHARACTERS:
        raise _wrong("model", "must be the name of a model")
    if operation is Operation.CHAT:
        _check_messages(request.get("messages"))
    else:
        request["prompt"] = _prompt(request.get("prompt"))
    for name, value in request.items():
        check = CHECKS.get(name)
        if check is not None:
            problem = check(value)
            if problem is not None:
                raise _wrong(name, problem)
    if "stream_options" in request and not request.get("stream"):
        raise _wrong("stream_options", "is only allowed with stream")
    return request


def _check_messages(messages: Any) -> None:
    if type(messages) is not list or not messages:
        raise _wrong("messages", "must be a list with at least one message")
    for index, message in enumerate(messages):
        if type(message) is not dict:
            raise _wrong(f"messages[{index}]", "must be an object")
        if message.get("role") not in ROLES:
            raise _wrong(f"messages[{index}].role", f"must be one of {', '.join(sorted(ROLES))}")
        content = message.get("content")
        if type(content) is not str:
            _check_parts(f"messages[{index}].content", content, message)


def _check_parts(name: str, content: Any, message: Mapping[str, Any]) -> None:
    if content is None:
        if message["role"] == "assistant" and (message.get("tool_calls") or message.get("function_call")):
            return
        raise _wrong(name, "must be text or a list of parts")
    if type(content) is not list or not content:
        raise _wrong(name, "must be text or a list of parts")
    for index, part in enumerate(content):
        if type(part) is not dict or part.get("type") != "text" or type(part.get("text")) is not str:
            raise _wrong(f"{name}[{index}]", "must be a part of type 'text'; other kinds are not served")


def _prompt(prompt: Any) -> str:
    if type(prompt) is list and len(prompt) == 1:
        prompt = prompt[0]
    if type(prompt) is not str or not prompt:
        raise _wrong("prompt", "must be one text that is not empty; lists and token ids are not served")
    return prompt


def text_of(request: Mapping[str, Any]) -> str:
    """The message text without any template, as the long-input rule counts it."""
    prompt = request.get("prompt")
    if prompt is not None:
        return str(prompt)
    parts: list[str] = []
    for message in request["messages"]:
        content = message.get("content")
        if type(content) is str:
            parts.append(content)
        elif content:
            parts.extend(part["text"] for part in content)
    return "\n".join(parts)


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        if type(value) is int and low <= value <= high:
            return None
        return f"must be a whole number from {low} to {high}"

    return check


def _number(low: float, high: float, *, above: bool = False) -> Check:
    def check(value: Any) -> str | None:
        if (type(value) is float or type(value) is int) and low <= value <= high and not (above and value == low):
            return None
        return f"must be a number {'above' if above else 'from'} {low:g} {'up ' if above else ''}to {high:g}"

    return check


def _of(kind: type, words: str) -> Check:
    def check(value: Any) -> str | None:
        return None if type(value) is kind else f"must be {words}"

    return check


def _stop(value: Any) -> str | None:
    stops = [value] if type(value) is str else value
    if type(stops) is not list or len(stops) > MAX_STOPS:
        return f"must be a text or a list of at most {MAX_STOPS} texts"
    if any(type(stop) is not str or not 0 < len(stop) <= MAX_STOP_CHARACTERS for stop in stops):
        return f"must hold texts of 1 to {MAX_STOP_CHARACTERS} characters"
    return None


def _user(value: Any) -> str | None:
    if type(value) is str and len(value) <= MAX_USER_CHARACTERS:
        return None
    return f"must be a text of at most {MAX_USER_CHARACTERS} characters"


def _stream_options(value: Any) -> str | None:
    if type(value) is dict and type(value.get("include_usage", False)) is bool:
        return None
    return "must be an object; include_usage must be true or false"


def _logprobs(value: Any) -> str | None:
    if type(value) is bool or (type(value) is int and 0 <= value <= 20):
        return None
    return "must be true, false or a whole number from 0 to 20"


_BOOLEAN = _of(bool, "true or false")
CHECKS: dict[str, Check] = {
    "max_tokens": _integer(1, MAX_TOKENS),
    "max_completion_tokens": _integer(1, MAX_TOKENS),
    "min_tokens": _integer(0, MAX_TOKENS),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1, above=True),
    "min_p": _number(0, 1),
    "top_k": _integer(-1, 1_000_000),
    "n": _integer(1, 16),
    "best_of": _integer(1, 16),
    "seed": _integer(-(2**63), 2**63 - 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "repetition_penalty": _number(0, 2, above=True),
    "logprobs": _logprobs,
    "top_logprobs": _integer(0, 20),
    "stop": _stop,
    "stream": _BOOLEAN,
    "stream_options": _stream_options,
    "ignore_eos": _BOOLEAN,
    "echo": _BOOLEAN,
    "parallel_tool_calls": _BOOLEAN,
    "user": _user,
    "tools": _of(list, "a list"),
    "functions": _of(list, "a list"),
    "logit_bias": _of(dict, "an object"),
    "response_format": _of(dict, "an object"),
    "metadata": _of(dict, "an object"),
}


def _wrong(param: str, problem: str) -> ApiError:
    return ApiError(400, "invalid_value", f"'{param}' {problem}.", param=param)
