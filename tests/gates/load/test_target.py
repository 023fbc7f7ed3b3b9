"""What goes over the wire: to an engine as its adapter writes it, to a route as a client would."""

import ipaddress

import aiohttp
import pytest

from engines.adapters import get_adapter
from engines.http import HttpEngineClient
from gates.load.plan import Planned
from gates.load.samples import SampleOutcome
from gates.load.target import EngineTarget, GatewayTarget
from gates.load.wire import Answer, Wire
from gates.policy import Phase, Workload
from tests.fakes import gateway
from tests.fakes.engine import serve

PLANNED = Planned(0, Phase.SPIKE, None, 0, "q0", 77, 5)
PLAIN = Workload()
MESSAGES = [{"role": "user", "content": "Say hello."}]


async def ask(target, workload=PLAIN) -> Answer:
    answer = Answer()
    await target.send(PLANNED, MESSAGES, workload=workload, answer=answer)
    return answer


async def test_an_engine_gets_what_its_adapter_prepares():
    with serve(api_key="secret") as fake:
        async with aiohttp.ClientSession() as session:
            client = HttpEngineClient(
                get_adapter("vllm"), fake.url, session=session, served_model="m", api_key="secret"
            )
            target = EngineTarget(client)
            answer = await ask(target, Workload(ignore_eos=True, temperature=0.5))
            await ask(target)
            target.close()
        asked, plain = fake.requests[0][2], fake.requests[1][2]
    assert answer.outcome is SampleOutcome.OK
    assert (asked["model"], asked["max_tokens"], asked["seed"]) == ("m", 5, 77)
    assert (asked["ignore_eos"], asked["temperature"]) == (True, 0.5)
    assert asked["messages"] == MESSAGES
    assert asked["stream_options"] == {"include_usage": True}
    assert "ignore_eos" not in plain


async def test_a_route_is_asked_with_a_fresh_token_and_names_the_engine_that_answered():
    async with gateway.serve() as fake:
        tokens = iter(["one", "two"])
        target = GatewayTarget(fake.url, "demo", lambda: next(tokens))
        answer = await ask(target)
        pinned = await ask(GatewayTarget(fake.url, "demo", lambda: "three", engine="hf-b"))
        target.close()
        headers = [asked.headers for asked in fake.asked]
    assert (answer.outcome, answer.engine) == (SampleOutcome.OK, "hf-a")
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (7, 3, 4)
    assert headers[0]["Authorization"] == "Bearer one"
    assert fake.asked[0].body["model"] == "demo"
    assert (pinned.engine, headers[1]["X-Engine"]) == ("hf-b", "hf-b")


async def test_an_address_outside_the_networks_is_not_called():
    with serve() as fake:
        async with aiohttp.ClientSession() as session:
            client = HttpEngineClient(get_adapter("vllm"), fake.url, session=session, served_model="m")
            answer = await ask(EngineTarget(client, networks=[ipaddress.ip_network("10.0.0.0/8")]))
    assert answer.outcome is SampleOutcome.TRANSPORT_ERROR
    assert "outside the allowed networks" in answer.error
    assert fake.hits == 0


async def test_a_key_that_would_break_the_framing_is_refused():
    target = GatewayTarget("http://127.0.0.1:1", "demo", lambda: "a\r\nX-Engine: b")
    with pytest.raises(ValueError, match="line break"):
        await ask(target)


@pytest.mark.parametrize("url", ["ftp://host", "http://", "host:80"])
def test_only_http_addresses_can_be_targets(url):
    with pytest.raises(ValueError, match="http or https"):
        Wire(url, get_adapter("vllm"))
