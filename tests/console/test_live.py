"""Hints over the websocket: names of what changed, from any process, to people who are signed in."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from console import live
from console.audit import record
from console.consumers import SIGNED_OUT, LiveConsumer
from console.models import User
from tests.console import makers

pytestmark = pytest.mark.django_db(transaction=True)


def change(subject: str) -> None:
    record(action="route.split", subject=subject, actor=makers.TESTER, reason="", before={}, after={})


def socket(user: object) -> WebsocketCommunicator:
    communicator = WebsocketCommunicator(LiveConsumer.as_asgi(), "/ws/console/")
    communicator.scope["user"] = user
    return communicator


def test_each_subject_is_named_once_whatever_happened_to_it() -> None:
    for subject in ("route:demo", "engine:a", "route:demo"):
        change(subject)
    assert live.subjects_after(0) == (3, ["route:demo", "engine:a"])
    assert live.subjects_after(3) == (3, [])


async def test_a_page_hears_the_name_of_what_changed_and_nothing_else(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY_SECONDS", 0.01)
    page = socket(viewer)
    assert (await page.connect())[0]
    await asyncio.sleep(0.1)
    await sync_to_async(change)("route:demo")
    assert await page.receive_json_from(timeout=5) == {"event": "route:demo"}
    await page.disconnect()


async def test_a_stranger_is_told_that_the_session_is_over() -> None:
    page = socket(AnonymousUser())
    await page.connect()
    assert await page.receive_output(timeout=5) == {"type": "websocket.close", "code": SIGNED_OUT}
    await page.disconnect()


async def test_the_reader_stops_with_the_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_SECONDS", 0.01)
    feed = live.Feed()

    async def listener(_: str) -> None:
        return None

    feed.join(listener)
    reader = feed._reader
    assert reader is not None
    await feed.leave(listener)
    assert reader.done()
