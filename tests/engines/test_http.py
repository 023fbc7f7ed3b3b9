"""engines.http: the engine contract against a misbehaving engine on a real socket."""

import asyncio
import contextlib

import pytest

from engines.adapters import ADAPTERS
from engines.client import Answer, EngineFailure, FailureKind, Feature, GenerateRequest, Operation
from engines.http import Deadlines, HttpEngineClient
from tests.fakes.engine import serve

HELLO = GenerateRequest(messages=({"role": "user", "content": "say it"},), max_tokens=50, request_id="r-1")
SHORT = Deadlines(first=0.4, idle=0.4, total=3)


def client(fake, session, **options):
    options = {"served_model": "m", "deadlines": SHORT, **options}
    return HttpEngineClient(ADAPTERS["vllm"], fake.url, session=session, **options)


async def collect(engine, into=None):
    chunks = [] if into is None else into
    async for chunk in engine.stream(HELLO):
        chunks.append(chunk)
    return chunks


async def failure_of(awaitable):
    with pytest.raises(EngineFailure) as failed:
        await awaitable
    return failed.value.failure


async def test_a_stream_gives_text_finish_and_usage(session):
    with serve(tokens=4) as fake:
        chunks = await collect(client(fake, session))
    assert "".join(chunk.text for chunk in chunks) == "w0 w1 w2 w3 "
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert chunks[-1].usage.output_tokens == 4


async def test_a_whole_answer_gives_the_same(session):
    with serve(tokens=4) as fake:
        answer = await client(fake, session).generate(HELLO)
        completion = await client(fake, session).generate(
            GenerateRequest(operation=Operation.COMPLETION, prompt="once", max_tokens=2)
        )
    assert (answer.text, answer.finish_reason, answer.usage.output_tokens) == ("w0 w1 w2 w3 ", "stop", 4)
    assert (completion.text, completion.finish_reason) == ("w0 w1 ", "length")


async def test_key_request_id_and_identity_encoding_reach_the_engine(session):
    with serve(api_key="sk-1") as fake:
        await collect(client(fake, session, api_key="sk-1"))
    headers = fake.last_headers
    assert headers["authorization"] == "Bearer sk-1"
    assert headers["x-request-id"] == "r-1"
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("400", FailureKind.BAD_REQUEST),
        ("429", FailureKind.SATURATED),
        ("500", FailureKind.INTERNAL),
        ("503", FailureKind.SATURATED),
        ("string_error", FailureKind.UNAUTHORIZED),
        ("flat_error", FailureKind.BAD_REQUEST),
        ("detail", FailureKind.BAD_REQUEST),
        ("text_error", FailureKind.UNAVAILABLE),
        ("html", FailureKind.MALFORMED),
        ("redirect", FailureKind.MALFORMED),
        ("reset", FailureKind.RESET),
        ("close", FailureKind.RESET),
        ("hang", FailureKind.TIMEOUT),
        ("hang_headers", FailureKind.TIMEOUT),
        ("hang_mid", FailureKind.TIMEOUT),
        ("error_first", FailureKind.INTERNAL),
        ("error_mid", FailureKind.INTERNAL),
        ("cut", FailureKind.TRUNCATED),
        ("rst_mid", FailureKind.TRUNCATED),
        ("eof_mid", FailureKind.TRUNCATED),
        ("no_finish", FailureKind.TRUNCATED),
        ("garbage_mid", FailureKind.MALFORMED),
    ],
)
async def test_every_fault_of_a_stream_has_its_kind(session, mode, kind):
    with serve(mode=mode) as fake:
        failure = await failure_of(collect(client(fake, session)))
    assert failure.kind is kind


async def test_what_came_before_a_failure_is_handed_out_first(session):
    chunks = []
    with serve(mode="error_mid", break_after=3) as fake:
        await failure_of(collect(client(fake, session), chunks))
    assert [chunk.text for chunk in chunks] == ["w0 ", "w1 ", "w2 "]


async def test_a_missing_done_after_a_finish_reason_is_accepted(session):
    with serve(mode="no_done", tokens=2) as fake:
        assert len(await collect(client(fake, session))) == 4


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("garbage", FailureKind.MALFORMED), ("no_finish", FailureKind.TRUNCATED), ("close", FailureKind.RESET)],
)
async def test_every_fault_of_a_whole_answer_has_its_kind(session, mode, kind):
    with serve(mode=mode) as fake:
        failure = await failure_of(client(fake, session).generate(HELLO))
    assert failure.kind is kind


async def test_retry_after_is_passed_on(session):
    with serve(mode="429", retry_after="7") as fake:
        failure = await failure_of(client(fake, session).generate(HELLO))
    assert failure.retry_after_seconds == 7


async def test_a_closed_port_is_refused_without_naming_the_host(session):
    with serve() as fake:
        fake.stop()
        failure = await failure_of(client(fake, session).generate(HELLO))
    assert failure.kind is FailureKind.REFUSED
    assert "127.0.0.1" not in failure.message


async def test_leaving_a_stream_early_aborts_the_engine(session):
    with serve(tokens=1000, interval=0.01) as fake:
        async with contextlib.aclosing(client(fake, session).stream(HELLO)) as stream:
            async for chunk in stream:
                assert chunk.has_content
                break
        async with asyncio.timeout(2):
            while not fake.cancelled:
                await asyncio.sleep(0.01)
        assert fake.running == 0


async def test_cancelling_the_task_aborts_the_engine(session):
    with serve(mode="hang") as fake:
        task = asyncio.ensure_future(client(fake, session).generate(HELLO))
        while not fake.running:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            while not fake.cancelled:
                await asyncio.sleep(0.01)


async def test_a_socket_that_a_restarted_engine_closed_is_no_fault(session):
    with serve() as fake:
        engine = client(fake, session)
        await engine.generate(HELLO)
        fake.stop()
        fake.start()
        assert (await engine.generate(HELLO)).finish_reason == "stop"


async def test_tokenize_counts_and_tensorrt_says_that_it_cannot(session):
    with serve() as fake:
        assert await client(fake, session).tokenize("one two three") == [0, 1, 2]
        trt = HttpEngineClient(ADAPTERS["trtllm"], fake.url, session=session, served_model="m")
        assert (await failure_of(trt.tokenize("x"))).kind is FailureKind.BAD_REQUEST


async def test_health_gives_models_context_length_and_metrics(session):
    with serve(waiting=3, kv_use=0.5) as fake:
        seen = await client(fake, session).health()
        assert await client(fake, session).version() == "0.32.0-fake"
    values = {item.name: item.value for item in seen.inputs}
    assert (seen.reachable, seen.served_models, seen.context_length) == (True, ("m",), 4096)
    assert (values["waiting"], values["kv_use"], values["running"]) == (3, 0.5, 0)


async def test_an_unhealthy_status_is_unreachable_and_said_in_words(session):
    with serve(health_status=503) as fake:
        seen = await client(fake, session).health()
    assert not seen.reachable
    assert seen.error


async def test_a_slow_health_check_is_a_timeout_and_not_a_refusal(session):
    with serve(health_delay=1) as fake:
        seen = await client(fake, session, probe_seconds=0.2).health()
    assert (seen.reachable, seen.timed_out) == (False, True)


@pytest.mark.parametrize(
    "settings", [{"metrics_status": 404}, {"metrics_body": b"<html>"}, {"metrics_body": b"x" * (5 << 20)}]
)
async def test_missing_metrics_are_unknown_and_not_zero(session, settings):
    with serve(**settings) as fake:
        seen = await client(fake, session).health()
    assert seen.reachable
    assert {item.value for item in seen.inputs} == {None}


async def test_the_record_decides_what_is_supported(session):
    with serve() as fake:
        engine = client(fake, session, record={"tools": "yes:detected"})
        assert engine.supports(Feature.TOOLS).answer is Answer.YES
        assert engine.supports(Feature.TOOLS).source == "detected"
        assert engine.supports(Feature.PRIORITY).answer is Answer.UNKNOWN
