"""Hints to open pages: one reader per process asks for new audit rows every second and tells who listens.

It needs no shared channel layer, so a change made by any process reaches every page within about a second.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections

from console.models import AuditEvent

EVERY_SECONDS = 1.0
BEAT_EVERY = 15  # polls between two signs of life
BEAT = "beat"

Listener = Callable[[str], Awaitable[None]]
log = logging.getLogger(__name__)


def newest() -> int:
    return AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0


def subjects_after(sequence: int) -> tuple[int, list[str]]:
    """The newest sequence number and the subjects that changed since `sequence`, each once."""
    close_old_connections()
    rows = list(
        AuditEvent.objects.filter(sequence__gt=sequence).order_by("sequence").values_list("sequence", "subject")
    )
    return (rows[-1][0] if rows else sequence), list(dict.fromkeys(subject for _, subject in rows))


class Feed:
    """Runs its reader only while somebody listens."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._reader: asyncio.Task[None] | None = None

    def join(self, listener: Listener) -> None:
        self._listeners.add(listener)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())

    async def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None

    async def _read(self) -> None:
        sequence, polls = await sync_to_async(newest)(), 0
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            polls += 1
            try:
                sequence, subjects = await sync_to_async(subjects_after)(sequence)
            except Error as error:  # the pages show their own staleness; the next poll tries again
                log.warning("The audit rows could not be read: %s", error)
                continue
            for word in [*subjects, *([BEAT] if polls % BEAT_EVERY == 0 else [])]:
                await self._tell(word)

    async def _tell(self, word: str) -> None:
        await asyncio.gather(*(listener(word) for listener in list(self._listeners)), return_exceptions=True)


FEED = Feed()
