"""The websocket of every page: it says what changed by name, and the page fetches it again."""

from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from console.live import FEED
from console.permissions import Capability, may

SIGNED_OUT = 4401


class LiveConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        await self.accept()
        if not may(self.scope["user"], Capability.VIEW):
            await self.close(code=SIGNED_OUT)
            return
        FEED.join(self.hint)

    async def hint(self, subject: str) -> None:
        await self.send_json({"event": subject})

    async def receive_json(self, content: Any, **_: Any) -> None:
        """A page has nothing to say here; what it sends is dropped."""

    async def disconnect(self, code: int) -> None:
        await FEED.leave(self.hint)
