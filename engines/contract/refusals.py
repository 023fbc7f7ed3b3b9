"""Checks of what an engine refuses, and of features that it may lack: never an answer as if it had not been asked."""

import json
from collections.abc import Mapping
from typing import Any

from engines.client import Answer, FailureKind, Feature
from engines.contract.answers import QUESTION, TOKENS, ask, streamed
from engines.contract.values import Bench, Broken, Found, Outcome, Reply

WRONG_KEY = "not-the-key-of-this-engine"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"],
          "additionalProperties": False}  # fmt: skip
MOST_WORDS = 200_000


async def bad_request(bench: Bench) -> Found:
    path = "/v1/chat/completions"
    raw = json.dumps({"model": bench.client.served_model, "messages": "no list"}).encode()
    return _refused(await bench.post(path, raw), FailureKind.BAD_REQUEST, "messages that are no list")


async def unauthorized(bench: Bench) -> Found:
    if not bench.api_key:
        return Outcome.UNVERIFIED, "This engine is called without a key."
    reply = await bench.chat(QUESTION, key=WRONG_KEY, max_tokens=1)
    return _refused(reply, FailureKind.UNAUTHORIZED, "a wrong key")


async def not_found(bench: Bench) -> Found:
    if not bench.client.adapter.checks_model:
        return Outcome.UNSUPPORTED, f"{bench.client.adapter.title} answers whatever model is named."
    reply = await bench.chat(QUESTION, model="no-such-model-here", max_tokens=1)
    return _refused(reply, FailureKind.NOT_FOUND, "a model that is not served")


async def overload(_bench: Bench) -> Found:
    return Outcome.UNVERIFIED, "429 and 503 need more load than a check may put on an engine that serves."


async def context_overflow(bench: Bench) -> Found:
    length = bench.context_length
    if length is None or length > MOST_WORDS:
        return Outcome.UNVERIFIED, "Its context is not known or too long to be exceeded by a check."
    reply = await bench.chat("word " * (length + 64), max_tokens=1)
    return _refused(reply, FailureKind.BAD_REQUEST, f"a prompt longer than its {length} tokens")


async def features(bench: Bench) -> Found:
    known = {feature: bench.answer(feature) for feature in Feature}
    parts = [
        f"{answer.value}: {', '.join(feature.value for feature, found in known.items() if found is answer)}"
        for answer in Answer
        if answer in known.values()
    ]
    return Outcome.PASS, "; ".join(parts) + "."


async def reasoning(bench: Bench) -> Found:
    if bench.answer(Feature.REASONING) is Answer.NO:
        return Outcome.UNSUPPORTED, "It says so; the wish for an effort is left out and named."
    chunks = await streamed(bench, ask(tokens=4 * TOKENS, reasoning_effort="low"))
    if any(chunk.reasoning for chunk in chunks):
        return Outcome.PASS, "Reasoning comes apart from the text."
    return Outcome.UNVERIFIED, "This model does not reason."


async def tools(bench: Bench) -> Found:
    reply = await bench.chat(
        "What is the weather in Paris?", tools=[WEATHER], tool_choice="auto", max_tokens=4 * TOKENS, temperature=0
    )
    if (settled := _settled(bench, Feature.TOOLS, reply)) is not None:
        return settled
    if _message(reply).get("tool_calls"):
        return Outcome.PASS, "The tool was called."
    return Outcome.UNVERIFIED, "It takes tools; this model called none."


async def logprobs(bench: Bench) -> Found:
    reply = await bench.chat(QUESTION, logprobs=True, top_logprobs=2, max_tokens=4, temperature=0)
    if (settled := _settled(bench, Feature.LOGPROBS, reply)) is not None:
        return settled
    told = _choice(reply).get("logprobs")
    if not isinstance(told, Mapping) or not told.get("content"):
        raise Broken("The answer holds no logprobs though they were asked for.")
    return Outcome.PASS, f"{len(told['content'])} tokens with theirs."


async def json_schema(bench: Bench) -> Found:
    """A small model may write blanks between the brackets for ever; a warmer try often ends."""
    wish = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    for temperature in (0, 1, 1):
        reply = await bench.chat("Name a city.", response_format=wish, max_tokens=4 * TOKENS, temperature=temperature)
        if (settled := _settled(bench, Feature.GUIDED, reply)) is not None:
            return settled
        text = str(_message(reply).get("content") or "")
        if _choice(reply).get("finish_reason") == "length":
            if not text.lstrip().startswith("{"):
                raise Broken("The answer does not follow the schema that was asked for.")
            continue
        _follows(text)
        return Outcome.PASS, "The answer follows the schema."
    return Outcome.UNVERIFIED, "The answers began as the schema wants; this model did not end them."


def _follows(text: str) -> None:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        raise Broken("The answer does not follow the schema that was asked for.") from None
    if not isinstance(answer, dict) or set(answer) != {"city"}:
        raise Broken("The answer is JSON, but not of the schema that was asked for.")


def _refused(reply: Reply, wanted: FailureKind, what: str) -> Found:
    if reply.status == 200:
        raise Broken(f"It answered {what} as if nothing were wrong.")
    if reply.kind is not wanted:
        raise Broken(f"It refused {what} with {reply.status}, which is read as {reply.kind}, not as {wanted}.")
    if not reply.body:
        raise Broken(f"It refused {what} with {reply.status}, but not with a JSON object.")
    return Outcome.PASS, f"{reply.status} with an error object."


def _settled(bench: Bench, feature: Feature, reply: Reply) -> Found | None:
    """Where the engine refused, or should have; None where it answered as it may."""
    answer = bench.answer(feature)
    if reply.status == 200:
        if answer is Answer.NO:
            raise Broken("It says that it cannot, yet answered as if it had not been asked.")
        return None
    if reply.kind is not FailureKind.BAD_REQUEST:
        raise Broken(f"It failed with {reply.status}, read as {reply.kind}.")
    if answer is Answer.YES:
        raise Broken(f"It says that it can, yet refused with {reply.status}.")
    return Outcome.UNSUPPORTED, f"Refused with {reply.status} and a reason."


def _choice(reply: Reply) -> Mapping[str, Any]:
    choices = reply.body.get("choices")
    found = choices[0] if isinstance(choices, list) and choices else {}
    return found if isinstance(found, Mapping) else {}


def _message(reply: Reply) -> Mapping[str, Any]:
    found = _choice(reply).get("message")
    return found if isinstance(found, Mapping) else {}
