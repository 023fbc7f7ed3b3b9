"""A client that leaves frees its place at once, streamed or not; a failure is an event and never [DONE]."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tests.engines.hf.tiny import ThreadedServer
from tests.engines.hf.wire import chat_body, falls_to, gauge, post

LONG = 4000


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_its_place(
    client: aiohttp.ClientSession, server: ThreadedServer, stream: bool
) -> None:
    aborts = await gauge(client, "hf:request_aborts_total")
    async with aiohttp.ClientSession() as leaver:
        body = chat_body(max_tokens=LONG, stream=stream)
        asked = asyncio.create_task(leaver.post(f"{server.base}/v1/chat/completions", json=body))
        assert await falls_to(client, "hf:num_requests_running", 1, seconds=5)
        asked.cancel()
        for left in await asyncio.gather(asked, return_exceptions=True):
            if isinstance(left, aiohttp.ClientResponse):
                left.close()
    assert await falls_to(client, "hf:num_requests_running", 0, seconds=5)
    assert await gauge(client, "hf:request_aborts_total") == aborts + 1


async def test_leaving_in_the_middle_of_a_stream_aborts_it(
    client: aiohttp.ClientSession, server: ThreadedServer
) -> None:
    async with aiohttp.ClientSession() as leaver:
        body = chat_body(max_tokens=LONG, stream=True)
        response = await leaver.post(f"{server.base}/v1/chat/completions", json=body)
        await response.content.readline()
        response.close()
    assert await falls_to(client, "hf:num_requests_running", 0, seconds=5)


async def test_a_dead_manager_is_an_error_event_without_done_and_comes_back(
    client: aiohttp.ClientSession, server: ThreadedServer
) -> None:
    assert server.service.batcher is not None
    restarts = await gauge(client, "hf:engine_restarts_total")
    async with client.post("/v1/chat/completions", json=chat_body(max_tokens=LONG, stream=True)) as response:
        await response.content.readline()
        whole = asyncio.create_task(post(client, "/v1/chat/completions", chat_body(max_tokens=LONG)))
        assert await falls_to(client, "hf:num_requests_running", 2, seconds=5)
        break_next_step(server)
        rest = (await response.text()).strip().split("\n\n")
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "engine_failed"
    status, body = await whole
    assert (status, body["error"]["type"]) == (500, "server_error")
    assert await falls_to(client, "hf:engine_restarts_total", restarts + 1, seconds=10)
    await healthy_again(client)
    assert (await post(client, "/v1/chat/completions", chat_body()))[0] == 200


def break_next_step(server: ThreadedServer) -> None:
    """The manager's own step raises, as it does when the cache cannot hold a request."""
    assert server.service.batcher is not None
    manager = server.service.batcher._manager

    def fail() -> None:
        raise RuntimeError("No requests can be scheduled and no requests can be offloaded.")

    manager._generation_step = fail


async def healthy_again(client: aiohttp.ClientSession) -> None:
    for _ in range(500):
        async with client.get("/health") as response:
            if response.status == 200:
                return
        await asyncio.sleep(0.02)
    pytest.fail("the engine did not come back in 10 s")


async def test_a_request_too_large_is_refused_while_others_go_on(client: aiohttp.ClientSession) -> None:
    running = asyncio.create_task(post(client, "/v1/chat/completions", chat_body(max_tokens=300)))
    assert await falls_to(client, "hf:num_requests_running", 1, seconds=5)
    messages = [{"role": "user", "content": "x" * 4000}]
    status, _ = await post(client, "/v1/chat/completions", chat_body(messages=messages, max_tokens=200))
    assert status == 400
    assert (await running)[0] == 200
