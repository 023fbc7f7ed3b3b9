"""With a key set, everything that costs or tells something asks for it."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.engines.hf.tiny import ThreadedServer
from tests.engines.hf.wire import chat_body, post


async def test_the_key_opens_and_nothing_else_does(llama_folder: Path) -> None:
    with ThreadedServer(llama_folder, api_key="open-sesame") as server:
        async with aiohttp.ClientSession(server.base) as client:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "open-sesame"}):
                status, body = await post(client, "/v1/chat/completions", chat_body(), headers=headers)
                assert (status, body["error"]["code"]) == (401, "invalid_api_key")
            good = {"Authorization": "Bearer open-sesame"}
            assert (await post(client, "/v1/chat/completions", chat_body(), headers=good))[0] == 200
            assert (await post(client, "/tokenize", {"prompt": "a"}))[0] == 401
            for path in ("/health", "/metrics"):
                async with client.get(path) as response:
                    assert response.status == 200
