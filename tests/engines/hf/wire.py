"""Short ways to ask the server and to read what it sends."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp

HELLO = [{"role": "user", "content": "hello"}]


def chat_body(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": HELLO, "max_tokens": 8, "temperature": 0, "ignore_eos": True, **more}


def text_body(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": "hello", "max_tokens": 8, "temperature": 0, "ignore_eos": True, **more}


async def post(client: aiohttp.ClientSession, path: str, body: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    async with client.post(path, json=body, **more) as response:
        return response.status, await response.json()


async def events(client: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> list[Any]:
    """Every event of a stream in order; [DONE] stays a string."""
    async with client.post(path, json={**body, "stream": True}) as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = (await response.text()).split("\n\n")
    data = [line.removeprefix("data: ") for line in lines if line]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


def said(stream: list[Any]) -> str:
    chunks = [event["choices"][0] for event in stream if event != "[DONE]" and event.get("choices")]
    return "".join(chunk.get("text") or chunk.get("delta", {}).get("content") or "" for chunk in chunks)


async def gauge(client: aiohttp.ClientSession, name: str) -> float:
    async with client.get("/metrics") as response:
        text = await response.text()
    found = re.search(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not in /metrics"
    return float(found.group(1))


async def falls_to(client: aiohttp.ClientSession, name: str, value: float, *, seconds: float) -> bool:
    for _ in range(int(seconds / 0.02)):
        if await gauge(client, name) == value:
            return True
        await asyncio.sleep(0.02)
    return False
