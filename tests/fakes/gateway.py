"""A fake gateway: the shape of the real one's streams on a loopback socket, in the test's own loop. Tests only.

The engine asked for picks the behaviour: see SCRIPTS; "auto" (no x-engine header) answers as `hf-a`.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Asked:
    """One request as it arrived. `gone` is set when its client closed the connection before the end."""

    headers: Mapping[str, str]
    body: dict[str, Any]
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class FakeGateway:
    words: tuple[str, ...] = ("Hello ", "**world**")
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.headers.copy(), await request.json())
        self.asked.append(asked)
        engine = request.headers.get("x-engine", "hf-a")
        if engine == "refuse":
            error = {"message": "The prompt has 9,000 tokens; the limit is 4,096.", "code": "context_too_long"}
            return web.json_response({"error": error}, status=400)
        response = web.StreamResponse(headers=self.headers(engine))
        response.content_type = "text/event-stream"
        try:
            if engine == "hang":  # the real one holds its headers until the first content
                await asyncio.sleep(30)
            await response.prepare(request)
            await SCRIPTS.get(engine, whole)(self, response, engine)
        except (asyncio.CancelledError, ConnectionResetError):
            asked.gone.set()
            raise
        return response

    def headers(self, engine: str) -> dict[str, str]:
        """The gateway numbers requests by itself, whatever id the client sent."""
        number = len(self.asked)
        return {"x-request-id": f"req_{number}", "x-decision-id": f"d-{number}", "x-chosen-engine": engine,
                "x-features-disabled": "seed"}  # fmt: skip


async def event(response: web.StreamResponse, data: dict[str, Any] | str) -> None:
    text = data if isinstance(data, str) else json.dumps(data)
    await response.write(f"data: {text}\n\n".encode())


def content(word: str, **extra: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}], **extra}


async def whole(fake: FakeGateway, response: web.StreamResponse, engine: str) -> None:
    await event(response, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
                           "chosen_engine": engine})  # fmt: skip
    for word in fake.words:
        await event(response, content(word))
    await event(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    await event(response, {"choices": [], "usage": usage})
    await event(response, "[DONE]")


async def endless(fake: FakeGateway, response: web.StreamResponse, engine: str) -> None:
    await event(response, content("first ", chosen_engine=engine))
    for _ in range(3000):
        await event(response, content("more "))
        await asyncio.sleep(0.01)


async def silent(fake: FakeGateway, response: web.StreamResponse, engine: str) -> None:
    await asyncio.sleep(30)


async def break_mid(fake: FakeGateway, response: web.StreamResponse, engine: str) -> None:
    await event(response, content("partial ", chosen_engine=engine))
    await event(response, {"error": {"message": "The engine stopped answering.", "code": "engine_error"}})


async def cut(fake: FakeGateway, response: web.StreamResponse, engine: str) -> None:
    await event(response, content("partial ", chosen_engine=engine))


async def garbage(fake: FakeGateway, response: web.StreamResponse, engine: str) -> None:
    await event(response, '{"choices": [NaN')


Script = Callable[[FakeGateway, web.StreamResponse, str], Awaitable[None]]
SCRIPTS: dict[str, Script] = {
    "endless": endless, "silent": silent, "break-mid": break_mid, "cut": cut, "garbage": garbage,
}  # fmt: skip


@contextlib.asynccontextmanager
async def serve() -> AsyncIterator[FakeGateway]:
    fake = FakeGateway()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", fake.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
