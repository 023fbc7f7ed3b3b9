"""Every refusal has OpenAI's error object, the right status and the name of the parameter."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import pytest

from tests.engines.hf.wire import chat_body, post, text_body

CHAT = "/v1/chat/completions"

UNSUPPORTED = {
    "logprobs": True,
    "top_logprobs": 3,
    "response_format": {"type": "json_object"},
    "structured_outputs": {"regex": "a+"},
    "seed": 0,
    "n": 2,
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"5": 1},
}
WRONG = {
    "temperature": "warm",
    "top_p": 0,
    "top_k": 1.5,
    "max_tokens": 0,
    "max_completion_tokens": True,
    "stop": [""],
    "stream": "yes",
    "stream_options": {"include_usage": True},
    "messages": [],
    "chat_template_kwargs": {"chat_template": "{{ 1 }}"},
    "reasoning_effort": "extreme",
}


def check_shape(body: dict[str, Any]) -> dict[str, Any]:
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize("param", UNSUPPORTED)
async def test_what_the_manager_cannot_do_is_refused_by_name(client: aiohttp.ClientSession, param: str) -> None:
    status, body = await post(client, CHAT, chat_body(**{param: UNSUPPORTED[param]}))
    error = check_shape(body)
    assert (status, error["param"], error["code"]) == (400, param, "unsupported_parameter")


@pytest.mark.parametrize("param", WRONG)
async def test_a_wrong_value_is_refused_by_name(client: aiohttp.ClientSession, param: str) -> None:
    status, body = await post(client, CHAT, chat_body(**{param: WRONG[param]}))
    assert (status, check_shape(body)["param"]) == (400, param)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"temperature": NaN}', b"[1]", b"[" * 100_000, b'{"a":"\xff"}'])
async def test_a_body_that_is_no_json_object_is_refused(client: aiohttp.ClientSession, raw: bytes) -> None:
    async with client.post(CHAT, data=raw) as response:
        assert response.status == 400
        assert check_shape(await response.json())["code"] == "invalid_json"


async def test_deep_nesting_inside_a_field_is_refused(client: aiohttp.ClientSession) -> None:
    raw = b'{"model":"tiny","messages":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"
    async with client.post(CHAT, data=raw) as response:
        assert response.status == 400
        check_shape(await response.json())


async def test_too_large_a_body_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post(CHAT, data=io.BytesIO(b" " * (10 * 1024 * 1024 + 1))) as response:
        assert response.status == 413
        assert check_shape(await response.json())["code"] == "body_too_large"


@pytest.mark.parametrize("model", ["other", "x" * 5000])
async def test_an_unknown_model_is_not_found(client: aiohttp.ClientSession, model: str) -> None:
    status, body = await post(client, CHAT, chat_body(model=model))
    error = check_shape(body)
    assert (status, error["param"], error["code"]) == (404, "model", "model_not_found")


async def test_prompt_and_answer_beyond_the_context_are_refused(client: aiohttp.ClientSession) -> None:
    status, body = await post(client, "/v1/completions", text_body(max_tokens=4096))
    assert (status, check_shape(body)["code"]) == (400, "context_length_exceeded")
    status, body = await post(client, CHAT, chat_body(messages=[{"role": "user", "content": "a" * 5000}]))
    assert (status, check_shape(body)["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize("prompt", ["", [], ["a", "b"], [[1], [2]], [10**6], [-1], [True], {}, None])
async def test_a_prompt_that_the_model_cannot_read_is_refused(client: aiohttp.ClientSession, prompt: Any) -> None:
    status, body = await post(client, "/v1/completions", text_body(prompt=prompt))
    assert (status, check_shape(body)["param"]) == (400, "prompt")


async def test_images_in_a_message_are_refused(client: aiohttp.ClientSession) -> None:
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/cat.png"}}
    status, body = await post(client, CHAT, chat_body(messages=[{"role": "user", "content": [part]}]))
    assert (status, check_shape(body)["param"]) == (400, "messages.0.content")


async def test_unknown_routes_and_methods_have_the_same_shape(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/embeddings") as response:
        assert (response.status, check_shape(await response.json())["code"]) == (404, "route_not_found")
    async with client.get(CHAT) as response:
        assert (response.status, check_shape(await response.json())["code"]) == (405, "method_not_allowed")


async def test_neutral_values_of_unsupported_fields_are_accepted(client: aiohttp.ClientSession) -> None:
    neutral = {"n": 1, "logprobs": False, "tools": [], "seed": None, "response_format": {"type": "text"}}
    status, _ = await post(client, CHAT, chat_body(presence_penalty=0, user="someone", unheard_of=1, **neutral))
    assert status == 200


async def test_token_ids_outside_the_vocabulary_are_refused(client: aiohttp.ClientSession) -> None:
    status, body = await post(client, "/detokenize", {"tokens": [10**9]})
    assert (status, check_shape(body)["param"]) == (400, "tokens")
