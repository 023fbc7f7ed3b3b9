"""The playground's websocket: who may talk, what they may say, the beat. The work is in playground_runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from console.models import User
from console.permissions import Capability, may
from console.playground import Gateway
from console.playground_messages import BadMessage, Start, Stop, parse
from console.playground_runs import Runs
from console.playground_why import recorded_result
from routing.gateway.tokens import make_token

BEAT_SECONDS = 5.0
RECHECK_BEATS = 12
TOKEN_SECONDS = 300
LOGIN_AGAIN, FORBIDDEN = 4401, 4403


class PlaygroundConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    runs: Runs | None = None
    beat: asyncio.Task[None] | None = None
    http: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        refusal = await self.refusal()
        await self.accept()  # a browser learns the code only of a connection that was opened
        if refusal is not None:
            await self.close(code=refusal)
            return
        self.http = aiohttp.ClientSession()
        gateway = Gateway(settings.GATEWAY_URL, self.http, partial(token_for, self.scope["user"]))
        self.runs = Runs(gateway=gateway, emit=self.emit, recorded=database_sync_to_async(recorded_result))
        self.beat = asyncio.create_task(self.beats())

    async def disconnect(self, code: int) -> None:
        if self.beat is not None:
            self.beat.cancel()
        if self.runs is not None:
            await self.runs.close()
        if self.http is not None:
            await self.http.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.runs is None:  # refused; the close is on its way
            return
        try:
            message = parse(text_data or "")
            await self.actions[type(message)](self, self.runs, message)
        except BadMessage as error:
            await self.emit({"type": "error", "pane": None, "code": "bad_message", "field": error.field,
                             "message": error.problem, "retryable": False, "partial": False})  # fmt: skip

    async def start(self, runs: Runs, message: Start) -> None:
        refusal = await self.refusal()
        if refusal is not None:
            await self.close(code=refusal)
            return
        runs.start(message)
        await self.emit({"type": "accepted", "run": message.run,
                         "panes": [question.pane for question in message.questions]})  # fmt: skip

    async def stop(self, runs: Runs, message: Stop) -> None:
        await runs.stop(message.run, message.pane)

    actions: dict[type, Callable[..., Awaitable[None]]] = {Start: start, Stop: stop}

    async def beats(self) -> None:
        """Tells the browser that we live; looks now and then whether it still may (channels resolves people once)."""
        count = 0
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            count += 1
            refusal = await self.refusal() if count % RECHECK_BEATS == 0 else None
            if refusal is not None:
                await self.close(code=refusal)
                return
            await self.emit({"type": "beat"})

    async def refusal(self) -> int | None:
        session_key = getattr(self.scope.get("session"), "session_key", None)
        code: int | None = await database_sync_to_async(refusal_code)(self.scope.get("user"), session_key)
        return code

    async def emit(self, frame: dict[str, Any]) -> None:
        await self.send(text_data=orjson.dumps(frame).decode())


def refusal_code(user: Any, session_key: str | None) -> int | None:
    """The close code for somebody who may not chat, from what the database says now."""
    fresh = User.objects.filter(pk=user.pk, is_active=True).first() if isinstance(user, User) else None
    if fresh is None or not Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now()).exists():
        return LOGIN_AGAIN
    return None if may(fresh, Capability.CHAT) else FORBIDDEN


def token_for(user: User) -> str:
    expires_at = time.time() + TOKEN_SECONDS
    return make_token("playground", user.username, expires_at, settings.INTERNAL_TOKEN_KEY.encode())
