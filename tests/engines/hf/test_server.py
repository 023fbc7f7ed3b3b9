"""Each endpoint answers in the form that OpenAI clients expect."""

from __future__ import annotations

import asyncio

import aiohttp
from openai import AsyncOpenAI

from tests.engines.hf.tiny import ThreadedServer
from tests.engines.hf.wire import chat_body, events, gauge, post, said, text_body


async def test_a_chat_answer_has_text_finish_reason_and_usage(client: aiohttp.ClientSession) -> None:
    status, body = await post(client, "/v1/chat/completions", chat_body())
    assert status == 200
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["usage"]["completion_tokens"] == 8
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 8


async def test_a_stream_sends_the_role_then_text_then_the_end_usage_and_done(client: aiohttp.ClientSession) -> None:
    stream = await events(client, "/v1/chat/completions", chat_body(stream_options={"include_usage": True}))
    assert stream[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert stream[-1] == "[DONE]"
    assert stream[-2]["choices"] == []
    assert stream[-2]["usage"]["completion_tokens"] == 8
    assert stream[-3]["choices"][0]["finish_reason"] == "length"


async def test_a_stream_without_include_usage_carries_none(client: aiohttp.ClientSession) -> None:
    stream = await events(client, "/v1/chat/completions", chat_body())
    assert not any("usage" in event for event in stream[:-1])


async def test_streamed_and_whole_greedy_answers_are_the_same_text(client: aiohttp.ClientSession) -> None:
    _, whole = await post(client, "/v1/completions", text_body(max_tokens=40))
    stream = await events(client, "/v1/completions", text_body(max_tokens=40))
    assert said(stream) == whole["choices"][0]["text"] != ""


async def test_requests_batched_together_get_what_each_gets_alone(client: aiohttp.ClientSession) -> None:
    bodies = [text_body(prompt=f"question {number} " * (number + 1), max_tokens=24) for number in range(8)]
    alone = [(await post(client, "/v1/completions", body))[1]["choices"][0]["text"] for body in bodies]
    together = await asyncio.gather(*(post(client, "/v1/completions", body) for body in bodies))
    assert [body["choices"][0]["text"] for _, body in together] == alone


async def test_completions_takes_token_ids_and_answers_sixteen_tokens_by_default(
    client: aiohttp.ClientSession,
) -> None:
    body = {"model": "tiny", "prompt": [5, 6, 7], "ignore_eos": True, "max_tokens": None}
    status, answer = await post(client, "/v1/completions", body)
    assert status == 200
    assert answer["object"] == "text_completion"
    assert answer["usage"]["prompt_tokens"] == 3
    assert answer["usage"]["completion_tokens"] == 16


async def test_models_tells_the_name_and_the_longest_context(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/models") as response:
        body = await response.json()
    assert [entry["id"] for entry in body["data"]] == ["tiny"]
    assert body["data"][0]["max_model_len"] == 4096


async def test_tokenize_counts_what_the_chat_really_sends(client: aiohttp.ClientSession) -> None:
    _, counted = await post(client, "/tokenize", {"model": "tiny", "messages": chat_body()["messages"]})
    _, answer = await post(client, "/v1/chat/completions", chat_body())
    assert counted["count"] == len(counted["tokens"]) == answer["usage"]["prompt_tokens"]
    assert counted["max_model_len"] == 4096


async def test_detokenize_undoes_tokenize(client: aiohttp.ClientSession) -> None:
    _, counted = await post(client, "/tokenize", {"prompt": "grüß dich 🙂", "return_token_strs": True})
    assert len(counted["token_strs"]) == counted["count"]
    status, back = await post(client, "/detokenize", {"tokens": counted["tokens"]})
    assert (status, back) == (200, {"prompt": "grüß dich 🙂"})


async def test_health_is_ok_when_the_manager_runs(client: aiohttp.ClientSession) -> None:
    async with client.get("/health") as response:
        assert response.status == 200
        assert await response.json() == {"status": "ok"}


async def test_metrics_count_tokens_steps_and_times(client: aiohttp.ClientSession) -> None:
    before = await gauge(client, "hf:generation_tokens_total")
    steps = await gauge(client, "hf:engine_steps_total")
    seen = await gauge(client, "hf:time_to_first_token_seconds_count")
    await post(client, "/v1/completions", text_body(max_tokens=10))
    assert await gauge(client, "hf:generation_tokens_total") == before + 10
    assert await gauge(client, "hf:engine_steps_total") >= steps + 10
    assert await gauge(client, "hf:time_to_first_token_seconds_count") == seen + 1
    for name in ("hf:num_requests_running", "hf:num_requests_waiting", "hf:kv_cache_usage_perc"):
        assert await gauge(client, name) >= 0
    for name in ("inter_token_latency", "e2e_request_latency"):
        assert await gauge(client, f"hf:{name}_seconds_count") > 0


async def test_a_repeated_prompt_is_found_in_the_prefix_cache(client: aiohttp.ClientSession) -> None:
    body = text_body(prompt="the same long beginning of every question " * 8)
    _, first = await post(client, "/v1/completions", body)
    hits = await gauge(client, "hf:prefix_cache_hits_total")
    _, again = await post(client, "/v1/completions", body)
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] >= 64
    assert await gauge(client, "hf:prefix_cache_hits_total") > hits
    assert again["choices"][0]["text"] == first["choices"][0]["text"]


async def test_the_openai_sdk_reads_answers_and_streams(server: ThreadedServer) -> None:
    sdk = AsyncOpenAI(base_url=f"{server.base}/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    answer = await sdk.chat.completions.create(model="tiny", messages=messages, max_tokens=4, temperature=0)
    stream = await sdk.chat.completions.create(
        model="tiny", messages=messages, max_tokens=4, temperature=0, stream=True
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == answer.choices[0].message.content
    await sdk.close()
