"""What a request asks for is what its answer obeys: stop strings, temperature, length, reasoning."""

from __future__ import annotations

import asyncio

import aiohttp

from tests.engines.hf.tiny import ThreadedServer
from tests.engines.hf.wire import chat_body, events, gauge, post, said, text_body


async def greedy_text(client: aiohttp.ClientSession, **more: object) -> str:
    _, body = await post(client, "/v1/completions", text_body(max_tokens=60, **more))
    text: str = body["choices"][0]["text"]
    return text


async def test_a_stop_string_over_several_tokens_ends_the_answer_without_it(client: aiohttp.ClientSession) -> None:
    full = await greedy_text(client)
    stop = full[10:14]
    body = text_body(max_tokens=60, stop=["not in there", stop])
    _, whole = await post(client, "/v1/completions", body)
    stream = await events(client, "/v1/completions", body)
    expected = full[: full.index(stop)]
    assert whole["choices"][0]["text"] == said(stream) == expected
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["choices"][0]["stop_reason"] == stop
    assert stream[-2]["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["completion_tokens"] < 60
    assert await gauge(client, "hf:num_requests_running") == 0


async def test_temperature_is_each_requests_own(client: aiohttp.ClientSession) -> None:
    cold = [text_body(max_tokens=30) for _ in range(3)]
    warm = [text_body(max_tokens=30, temperature=1.5) for _ in range(3)]
    answers = await asyncio.gather(*(post(client, "/v1/completions", body) for body in [*cold, *warm]))
    texts = [body["choices"][0]["text"] for _, body in answers]
    assert len(set(texts[:3])) == 1
    assert len(set(texts[3:])) == 3


async def test_top_k_one_is_greedy_at_any_temperature(client: aiohttp.ClientSession) -> None:
    assert await greedy_text(client, temperature=2, top_k=1) == await greedy_text(client)


async def test_a_tiny_top_p_is_greedy_at_any_temperature(client: aiohttp.ClientSession) -> None:
    assert await greedy_text(client, temperature=1, top_p=1e-6) == await greedy_text(client)


async def test_max_completion_tokens_wins_over_max_tokens(client: aiohttp.ClientSession) -> None:
    _, body = await post(client, "/v1/chat/completions", chat_body(max_tokens=9, max_completion_tokens=3))
    assert body["usage"]["completion_tokens"] == 3


async def test_chunks_of_a_stream_never_hold_half_characters(client: aiohttp.ClientSession) -> None:
    stream = await events(client, "/v1/completions", text_body(max_tokens=200, temperature=1.5))
    assert stream[-1] == "[DONE]"
    said(stream).encode()


async def test_gpt_oss_answers_with_reasoning_apart_from_content(gpt_oss_server: ThreadedServer) -> None:
    async with aiohttp.ClientSession(gpt_oss_server.base) as client:
        status, body = await post(client, "/v1/chat/completions", chat_body(max_tokens=60))
        assert status == 200
        assert body["usage"]["completion_tokens"] == 60
        assert isinstance(body["choices"][0]["message"]["reasoning"], str)
        assert "reasoning_tokens" in body["usage"]["completion_tokens_details"]
        stream = await events(client, "/v1/chat/completions", chat_body(max_tokens=60))
        assert said(stream) == body["choices"][0]["message"]["content"]


async def test_gpt_oss_batches_give_what_each_gives_alone(gpt_oss_server: ThreadedServer) -> None:
    async with aiohttp.ClientSession(gpt_oss_server.base) as client:
        bodies = [text_body(prompt="q" * (7 * number + 3), max_tokens=40) for number in range(4)]
        alone = [(await post(client, "/v1/completions", body))[1]["choices"][0]["text"] for body in bodies]
        together = await asyncio.gather(*(post(client, "/v1/completions", body) for body in bodies))
    assert [body["choices"][0]["text"] for _, body in together] == alone
