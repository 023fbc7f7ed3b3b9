"""The relay on real sockets, before a fake engine."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from gates.failover.proxy import FaultProxy
from gates.failover.scenarios import Scenario
from tests.fakes.engine import FakeEngine, serve

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with serve() as fake:
        yield fake


@pytest.fixture
async def proxy(engine: FakeEngine) -> AsyncIterator[FaultProxy]:
    relay = FaultProxy(engine.url)
    await relay.open()
    yield relay
    await relay.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as client:
        yield client


async def ask(session: aiohttp.ClientSession, proxy: FaultProxy) -> int:
    async with session.post(f"{proxy.url}/v1/chat/completions", json=BODY) as answer:
        await answer.read()
        return answer.status


async def test_it_passes_requests_on(session: aiohttp.ClientSession, proxy: FaultProxy, engine: FakeEngine) -> None:
    assert [await ask(session, proxy) for _ in range(3)] == [200, 200, 200]
    assert engine.last_body == BODY


async def test_stopped_it_refuses_and_afterwards_listens_on_the_same_port(
    session: aiohttp.ClientSession, proxy: FaultProxy
) -> None:
    url = proxy.url
    assert await ask(session, proxy) == 200
    await proxy.inject(Scenario.STOP)
    for refused in (aiohttp.ClientConnectionError, aiohttp.ClientConnectorError):  # the first on the broken socket
        with pytest.raises(refused):
            await ask(session, proxy)
    await proxy.heal()
    assert (proxy.url, await ask(session, proxy)) == (url, 200)


async def test_a_stop_breaks_what_is_under_way(
    session: aiohttp.ClientSession, proxy: FaultProxy, engine: FakeEngine
) -> None:
    engine.mode = "hang"
    asking = asyncio.ensure_future(ask(session, proxy))
    async with asyncio.timeout(5):
        while engine.running == 0:
            await asyncio.sleep(0.01)
    await proxy.inject(Scenario.STOP)
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_hanging_it_holds_a_request_back_and_lets_it_go_later(
    session: aiohttp.ClientSession, proxy: FaultProxy, engine: FakeEngine
) -> None:
    await proxy.inject(Scenario.HANG)
    asking = asyncio.ensure_future(ask(session, proxy))
    await asyncio.sleep(0.2)
    assert not asking.done()
    assert engine.hits == 0
    await proxy.heal()
    assert await asking == 200


@pytest.mark.parametrize(("fault", "status"), [(Scenario.ERROR, 503), (Scenario.ERROR_500, 500)])
async def test_failing_it_answers_in_the_engines_place_also_on_an_open_connection(
    session: aiohttp.ClientSession, proxy: FaultProxy, engine: FakeEngine, fault: Scenario, status: int
) -> None:
    assert await ask(session, proxy) == 200
    hits = engine.hits
    await proxy.inject(fault)
    assert [await ask(session, proxy) for _ in range(3)] == [status] * 3
    assert engine.hits == hits
    await proxy.heal()
    assert await ask(session, proxy) == 200


async def test_slowed_it_answers_late(
    session: aiohttp.ClientSession, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gates.failover.proxy.FIRST_BYTE_LATE", 0.3)
    await proxy.inject(Scenario.SLOW)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await ask(session, proxy) == 200
    assert loop.time() - begun >= 0.3


async def test_it_does_not_connect_where_engines_may_not_be(session: aiohttp.ClientSession, engine: FakeEngine) -> None:
    relay = FaultProxy(engine.url, allowed=lambda _address: False)
    await relay.open()
    with pytest.raises(aiohttp.ClientError):
        await ask(session, relay)
    await relay.close()
    assert engine.hits == 0
