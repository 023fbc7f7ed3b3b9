"""The playground's websocket against a fake gateway on a loopback socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore

from console.models import User
from console.playground_consumer import PlaygroundConsumer
from console.playground_messages import MAX_MESSAGE_BYTES
from routing.gateway.tokens import verify_token
from routing.models import OutcomeRecord
from routing.outcomes import Source
from tests.fakes.gateway import FakeGateway, serve

pytestmark = pytest.mark.django_db(transaction=True)

Open = Callable[[Any], Awaitable[WebsocketCommunicator]]


@pytest.fixture
async def gateway(settings: Any) -> AsyncIterator[FakeGateway]:
    async with serve() as fake:
        settings.GATEWAY_URL = fake.url
        yield fake


@pytest.fixture
async def connect(gateway: FakeGateway) -> AsyncIterator[Open]:
    """Opens a socket as a signed-in person; closes what is left open."""
    opened: list[WebsocketCommunicator] = []

    async def open_as(user: Any) -> WebsocketCommunicator:
        session = SessionStore()
        await database_sync_to_async(session.create)()
        socket = WebsocketCommunicator(PlaygroundConsumer.as_asgi(), "/ws/playground/")
        socket.scope.update(user=user, session=SimpleNamespace(session_key=session.session_key))
        opened.append(socket)
        assert (await socket.connect())[0]
        return socket

    yield open_as
    for socket in opened:
        await socket.disconnect()


def start(*engines: str, run: str = "r-1") -> dict[str, Any]:
    asked = [{"role": "user", "content": "What is a canary?"}]
    panes = [{"pane": i, "engine": engine, "messages": asked} for i, engine in enumerate(engines, 1)]
    return {"type": "start", "run": run, "conversation": "c-1", "route": "demo", "panes": panes, "params": {}}


async def until(socket: WebsocketCommunicator, kind: str, pane: int | None = None) -> list[dict[str, Any]]:
    """Frames up to the first of that kind (and pane)."""
    frames: list[dict[str, Any]] = []
    while True:
        frames.append(await socket.receive_json_from(timeout=5))
        if frames[-1]["type"] == kind and (pane is None or frames[-1].get("pane") == pane):
            return frames


async def settled(socket: WebsocketCommunicator, panes: int) -> dict[int, list[dict[str, Any]]]:
    """All frames by pane until each pane has ended."""
    found: dict[int, list[dict[str, Any]]] = {number: [] for number in range(1, panes + 1)}
    while not all(frames and frames[-1]["type"] in ("done", "error") for frames in found.values()):
        frame = await socket.receive_json_from(timeout=5)
        if frame.get("pane"):
            found[frame["pane"]].append(frame)
    return found


async def test_two_panes_answer_side_by_side(connect: Open, gateway: FakeGateway, viewer: User) -> None:
    socket = await connect(viewer)
    await socket.send_json_to(start("auto", "hf-b"))
    assert await socket.receive_json_from() == {"type": "accepted", "run": "r-1", "panes": [1, 2]}
    for number, frames in (await settled(socket, 2)).items():
        assert [frames[0]["type"], frames[-1]["type"]] == ["first", "done"]
        assert "".join(frame["text"] for frame in frames if frame["type"] == "delta") == "Hello **world**"
        done = frames[-1]
        assert done["engine"] == ("hf-a", "hf-b")[number - 1]
        assert done["html"] == "<p>Hello <strong>world</strong></p>\n"
        assert done["usage"] == {"input": 7, "output": 3, "cached": 4}
        assert done["finish_reason"] == "stop"
        assert done["features_disabled"] == ["seed"]
        assert done["timings"]["total_ms"] >= done["timings"]["ttft_ms"] >= 0


async def test_the_gateway_is_asked_as_the_person_and_only_named_engines_are_forced(
    connect: Open, gateway: FakeGateway, viewer: User, settings: Any
) -> None:
    socket = await connect(viewer)
    await socket.send_json_to(start("auto", "hf-b"))
    await settled(socket, 2)
    by_engine = {asked.headers.get("x-engine"): asked for asked in gateway.asked}
    assert set(by_engine) == {None, "hf-b"}
    token = by_engine[None].headers["Authorization"].removeprefix("Bearer ")
    caller = verify_token(token, datetime.now(UTC).timestamp(), settings.INTERNAL_TOKEN_KEY.encode())
    assert caller is not None
    assert (caller.source, caller.user) == (Source.PLAYGROUND, "viewer-1")


async def test_a_stop_closes_that_stream_within_a_second_and_leaves_the_other(
    connect: Open, gateway: FakeGateway, viewer: User
) -> None:
    socket = await connect(viewer)
    await socket.send_json_to(start("endless", "endless"))
    await until(socket, "delta", 1)
    await until(socket, "delta", 2)
    await socket.send_json_to({"type": "stop", "run": "r-1", "pane": 1})
    stopped = (await until(socket, "stopped", 1))[-1]
    assert stopped["engine_confirmed"] is None
    first, second = sorted(gateway.asked, key=lambda asked: asked.headers["x-session-id"])
    await asyncio.wait_for(first.gone.wait(), 1)
    assert not second.gone.is_set()
    assert (await until(socket, "delta", 2))[-1]["text"]


async def record(request_id: str, **decision: Any) -> None:
    await OutcomeRecord.objects.acreate(
        request_id=request_id, assigned_at=datetime.now(UTC), route="demo", engine="endless",
        source=Source.PLAYGROUND, result="cancelled", body={"decision": decision},
    )  # fmt: skip


async def test_a_stop_is_confirmed_by_the_recorded_outcome(connect: Open, gateway: FakeGateway, viewer: User) -> None:
    socket = await connect(viewer)
    await socket.send_json_to(start("endless"))
    await until(socket, "delta")
    await socket.send_json_to({"type": "stop", "run": "r-1"})
    assert (await until(socket, "stopped"))[-1]["request_id"] == "req_1"
    await record("req_1")
    stopped = (await until(socket, "stopped"))[-1]
    assert stopped["engine_confirmed"] is True
    assert stopped["detail"] == "The gateway closed the engine’s stream."


async def test_a_stop_before_the_first_token_closes_the_request_and_is_confirmed_by_our_own_id(
    connect: Open, gateway: FakeGateway, viewer: User
) -> None:
    socket = await connect(viewer)
    await socket.send_json_to(start("hang"))
    await until(socket, "accepted")
    while not gateway.asked:
        await asyncio.sleep(0.01)
    await socket.send_json_to({"type": "stop", "run": "r-1"})
    await until(socket, "stopped")
    await asyncio.wait_for(gateway.asked[0].gone.wait(), 1)
    await record("req_1", client_request_id=gateway.asked[0].headers["x-request-id"])
    assert (await until(socket, "stopped"))[-1]["engine_confirmed"] is True


async def test_a_browser_that_leaves_stops_every_engine(connect: Open, gateway: FakeGateway, viewer: User) -> None:
    socket = await connect(viewer)
    await socket.send_json_to(start("endless", "silent"))
    await until(socket, "delta", 1)
    await socket.disconnect()
    await asyncio.wait_for(asyncio.gather(*(asked.gone.wait() for asked in gateway.asked)), 1)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("break-mid", ("engine_error", True, True)),
        ("cut", ("truncated", True, True)),
        ("garbage", ("malformed", False, True)),
        ("refuse", ("context_too_long", False, False)),
    ],
)
async def test_an_error_ends_its_pane_and_no_other(
    connect: Open, viewer: User, engine: str, expected: tuple[str, bool, bool]
) -> None:
    """`expected` is the code, whether text came before, whether a retry may help."""
    socket = await connect(viewer)
    await socket.send_json_to(start(engine, "hf-b"))
    panes = await settled(socket, 2)
    error = panes[1][-1]
    assert error["type"] == "error"
    assert (error["code"], error["partial"], error["retryable"]) == expected
    assert panes[2][-1]["type"] == "done"


async def test_an_unreachable_gateway_is_said_so(connect: Open, viewer: User, settings: Any) -> None:
    settings.GATEWAY_URL = "http://127.0.0.1:9"
    socket = await connect(viewer)
    await socket.send_json_to(start("auto"))
    assert (await until(socket, "error"))[-1]["code"] == "gateway_unreachable"


@pytest.mark.parametrize("text", ["{", "[]", '{"type":"start"}', "x" * (MAX_MESSAGE_BYTES + 1)])
async def test_a_bad_message_is_answered_and_the_socket_lives_on(connect: Open, viewer: User, text: str) -> None:
    socket = await connect(viewer)
    await socket.send_to(text_data=text)
    frame = await socket.receive_json_from()
    assert (frame["type"], frame["pane"], frame["code"]) == ("error", None, "bad_message")
    await socket.send_json_to(start("auto"))
    assert (await until(socket, "done"))[-1]["engine"] == "hf-a"


async def test_a_third_run_at_once_is_refused(connect: Open, viewer: User) -> None:
    socket = await connect(viewer)
    for run in ("r-1", "r-2"):
        await socket.send_json_to(start("silent", run=run))
        await until(socket, "accepted")
    await socket.send_json_to(start("auto", run="r-3"))
    assert (await until(socket, "error"))[-1]["field"] == "run"


async def refused_with(user: Any, session_key: str | None) -> int:
    socket = WebsocketCommunicator(PlaygroundConsumer.as_asgi(), "/ws/playground/")
    socket.scope.update(user=user, session=SimpleNamespace(session_key=session_key))
    await socket.connect()
    closed = await socket.receive_output()
    await socket.disconnect()
    return int(closed["code"])


async def test_a_stranger_is_told_to_log_in() -> None:
    assert await refused_with(AnonymousUser(), None) == 4401


async def test_an_ended_session_is_told_to_log_in(viewer: User) -> None:
    assert await refused_with(viewer, "gone") == 4401


async def test_a_role_that_may_not_chat_is_refused(connect: Open, viewer: User) -> None:
    socket = await connect(viewer)
    await User.objects.filter(pk=viewer.pk).aupdate(role="nobody")
    await socket.send_json_to(start("auto"))
    assert (await socket.receive_output())["code"] == 4403
