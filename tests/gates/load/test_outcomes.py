"""How requests end, against a fake engine on a real socket."""

import asyncio
import socket

import pytest

from gates.backlog import backlog
from gates.extent import read
from gates.load.plan import SECOND
from gates.load.samples import SampleOutcome
from gates.policy import OpenLoop, Phase
from tests.fakes.engine import serve
from tests.gates.load.kit import SPIKE, run, until, with_changes

FEW = with_changes(SPIKE, spike=OpenLoop(rate=20, seconds=0.2))


async def test_an_answered_request_carries_its_times_tokens_and_status():
    with serve(tokens=5, first_delay=0.05, interval=0.01) as fake:
        result, samples = await run(SPIKE, fake.url)
    assert len(samples) == 20 == fake.finished
    assert result.end.complete
    assert result.end.planned == 20
    assert result.end.seconds == 0.5
    for sample in samples:
        assert sample.outcome is SampleOutcome.OK
        assert sample.status_code == 200
        assert sample.output_tokens == 5
        assert sample.intended_ns <= sample.sent_ns < sample.first_token_ns < sample.last_token_ns <= sample.end_ns
        assert sample.first_token_ns - sample.sent_ns >= 0.045 * SECOND
        assert sample.last_token_ns - sample.first_token_ns >= 0.03 * SECOND


async def test_a_role_event_is_no_first_token():
    role = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
    word = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + role)
        await asyncio.sleep(0.1)
        writer.write(word)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        _, samples = await run(FEW, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert {sample.outcome for sample in samples} == {SampleOutcome.OK}
    assert all(sample.first_token_ns - sample.sent_ns >= 0.09 * SECOND for sample in samples)


@pytest.mark.parametrize(
    ("mode", "outcome", "status"),
    [
        ("500", SampleOutcome.HTTP_ERROR, 500),
        ("429", SampleOutcome.HTTP_ERROR, 429),
        ("html", SampleOutcome.HTTP_ERROR, 200),
        ("redirect", SampleOutcome.HTTP_ERROR, 307),
        ("error_first", SampleOutcome.HTTP_ERROR, 200),
        ("error_mid", SampleOutcome.HTTP_ERROR, 200),
        ("garbage_mid", SampleOutcome.HTTP_ERROR, 200),
        ("reset", SampleOutcome.TRANSPORT_ERROR, None),
        ("close", SampleOutcome.TRANSPORT_ERROR, None),
        ("rst_mid", SampleOutcome.TRANSPORT_ERROR, 200),
        ("cut", SampleOutcome.TRUNCATED, 200),
        ("eof_mid", SampleOutcome.TRUNCATED, 200),
        ("no_done", SampleOutcome.OK, 200),
        ("no_finish", SampleOutcome.OK, 200),
    ],
)
async def test_every_kind_of_failure_has_its_own_outcome(mode, outcome, status):
    with serve(mode=mode) as fake:
        _, samples = await run(FEW, fake.url)
    assert {sample.outcome for sample in samples} == {outcome}
    assert {sample.status_code for sample in samples} == {status}
    assert len(samples) == 4 == fake.hits  # no retries
    assert all(bool(sample.error) is sample.failed for sample in samples)


async def test_an_answer_without_text_is_empty():
    with serve(tokens=0) as fake:
        _, samples = await run(FEW, fake.url)
    assert {sample.outcome for sample in samples} == {SampleOutcome.EMPTY}


async def test_a_refused_connection_is_a_transport_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        result, samples = await run(FEW, f"http://127.0.0.1:{held.getsockname()[1]}")
    assert {sample.outcome for sample in samples} == {SampleOutcome.TRANSPORT_ERROR}
    assert result.health.not_sent == 0


async def test_a_request_without_an_answer_times_out_and_its_socket_is_closed():
    with serve(mode="hang_mid") as fake:
        _, samples = await run(with_changes(FEW, request_timeout=0.3), fake.url)
        await until(lambda: fake.running == 0)
    assert {sample.outcome for sample in samples} == {SampleOutcome.TIMEOUT}
    assert all(sample.first_token_ns is not None for sample in samples)
    assert fake.cancelled == 4


async def test_what_the_drain_does_not_see_end_has_timed_out():
    with serve(mode="hang") as fake:
        result, samples = await run(with_changes(FEW, drain_seconds=0.2), fake.url)
    assert [sample.outcome for sample in samples] == [SampleOutcome.TIMEOUT] * 4
    assert result.end.complete
    assert "drain" in samples[0].error


async def test_a_slow_engine_slows_nothing_down_and_latency_counts_from_the_intended_send():
    with serve(tokens=2, first_delay=1.5) as fake:
        result, samples = await run(SPIKE, fake.url)
    assert len(samples) == 20
    assert max(sample.sent_ns for sample in samples) < min(sample.first_token_ns for sample in samples)
    assert all(sample.end_ns - sample.intended_ns >= 1.49 * SECOND for sample in samples)
    assert result.health.not_sent == 0


async def test_what_the_cap_keeps_back_is_not_sent_and_makes_the_generator_unfit():
    with serve(tokens=2, first_delay=0.6) as fake:
        policy = with_changes(SPIKE, in_flight_cap=5)
        result, samples = await run(policy, fake.url)
    kept_back = [sample for sample in samples if sample.outcome is SampleOutcome.NOT_SENT]
    assert len(kept_back) == 15 == result.health.not_sent
    assert all(sample.sent_ns is None and sample.failed for sample in kept_back)
    assert any("15 requests were not sent" in breach for breach in result.health.breaches)
    assert fake.hits == 5
    held = backlog(read(Phase.SPIKE, policy, samples, result.end))
    assert held is not None
    assert (held.unsent, held.unanswered) == (15, 5)
