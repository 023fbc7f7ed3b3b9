"""What engines do wrong and what the client then gets: the retry table, over real sockets."""

import http.client
import json
import threading
import time
from collections.abc import Iterator

import pytest

from routing.table import Role, Table
from tests.fakes.engine import FakeEngine
from tests.gateway.harness import RunningGateway, chat, engines, entry, events, make_table, post, running, wait_until
from tests.routing.tables import member


@pytest.fixture(scope="module")
def fakes() -> Iterator[tuple[FakeEngine, ...]]:
    with engines(FakeEngine(), FakeEngine()) as both:
        yield both


def two_engines(first: FakeEngine, second: FakeEngine, **settings: object) -> Table:
    found = [entry("first", 1, first.url), entry("second", 2, second.url)]
    return make_table(found, [member("first", 100), member("second", role=Role.STANDBY)], **settings)


@pytest.fixture(scope="module")
def shared(fakes: tuple[FakeEngine, ...]) -> Iterator[RunningGateway]:
    with running(two_engines(*fakes)) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared: RunningGateway, fakes: tuple[FakeEngine, ...]) -> Iterator[RunningGateway]:
    """The shared gateway with both engines normal, nothing recorded and nobody cooling down."""
    wait_until(lambda: not shared.app.hub.watch.active and not shared.app.hub.recorder.depth)
    shared.doors.outcomes.clear()
    shared.app.hub.work.loads.clear()
    yield shared
    for fake in fakes:
        fake.mode, fake.retry_after, fake.interval, fake.first_delay, fake.tokens = "normal", None, 0.0, 0.0, 5


ANOTHER = [("reset", "reset"), ("close", "reset"), ("429", "saturated"), ("503", "saturated")]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("mode", "result"), ANOTHER)
def test_a_failure_before_any_content_goes_to_another_engine(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...], mode: str, result: str, *, stream: bool
) -> None:
    fakes[0].mode = mode
    status, headers, _ = post(gateway, chat(stream=stream))
    assert (status, headers["x-chosen-engine"]) == (200, "second")
    outcome = gateway.outcome()
    assert [item["engine"] for item in outcome["attempts"]] == ["first", "second"]
    assert outcome["first_attempt"] in {result, "engine_error"}
    assert (outcome["arm"], outcome["result"]) == ("first", "ok")


def test_an_error_event_before_content_goes_to_another_engine(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...]
) -> None:
    fakes[0].mode = "error_first"
    status, _, raw = post(gateway, chat(stream=True))
    assert status == 200
    assert events(raw)[0]["chosen_engine"] == "second"
    assert events(raw)[-1] == "[DONE]"


@pytest.mark.parametrize("mode", ["400", "500"])
def test_other_errors_are_not_tried_again(gateway: RunningGateway, fakes: tuple[FakeEngine, ...], mode: str) -> None:
    fakes[0].mode = mode
    status, headers, body = post(gateway, chat())
    assert status == (400 if mode == "400" else 502)
    assert headers["x-should-retry"] == "false"
    assert json.loads(body)["error"]["message"]
    assert len(gateway.outcome()["attempts"]) == 1


def test_at_most_two_attempts_and_then_an_error_that_may_be_retried(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...]
) -> None:
    for fake in fakes:
        fake.mode = "429"
        fake.retry_after = "7"
    before = [fake.hits for fake in fakes]
    status, headers, body = post(gateway, chat())
    assert status == 503
    assert json.loads(body)["error"]["code"] == "overloaded"
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-should-retry"] == "true"
    assert [fake.hits - hits for fake, hits in zip(fakes, before, strict=True)] == [1, 1]


def test_a_saturated_engine_cools_down(gateway: RunningGateway, fakes: tuple[FakeEngine, ...]) -> None:
    fakes[0].mode, fakes[0].retry_after = "429", "30"
    post(gateway, chat())
    before = fakes[0].hits
    assert post(gateway, chat())[1]["x-chosen-engine"] == "second"
    assert fakes[0].hits == before


BROKEN = ["cut", "rst_mid", "eof_mid", "error_mid", "garbage_mid"]


@pytest.mark.parametrize("mode", BROKEN)
def test_after_the_first_content_an_error_event_ends_the_stream_without_done(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...], mode: str
) -> None:
    fakes[0].mode = mode
    fakes[0].interval = 0.02
    hits = fakes[1].hits
    raw, ended_well = _read_raw(gateway)
    found = events(raw)
    assert found[0]["choices"][0]["delta"]["content"] == "w0 "
    assert found[-1]["error"]["code"]
    assert "[DONE]" not in found
    assert not ended_well
    assert fakes[1].hits == hits
    assert gateway.outcome()["result"] in {"truncated", "engine_error"}


def _read_raw(gateway: RunningGateway) -> tuple[bytes, bool]:
    """The stream's bytes, and whether the connection ended it regularly."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(chat(stream=True)), HEADERS)
        answer = connection.getresponse()
        try:
            return answer.read(), True
        except http.client.IncompleteRead as cut:
            return cut.partial, False
    finally:
        connection.close()


HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-test-" + "a" * 40}


def test_a_finish_reason_without_done_is_complete_and_gets_its_done(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...]
) -> None:
    fakes[0].mode = "no_done"
    assert events(post(gateway, chat(stream=True))[2])[-1] == "[DONE]"
    assert gateway.outcome()["result"] == "ok"


def test_a_silent_engine_is_left_while_another_can_still_keep_the_objective(fakes: tuple[FakeEngine, ...]) -> None:
    fakes[0].mode = "hang_headers"
    try:
        with running(two_engines(*fakes, ttft_limit=1.0)) as gateway:
            status, headers, _ = post(gateway, chat(stream=True))
            assert (status, headers["x-chosen-engine"]) == (200, "second")
            assert gateway.outcome()["first_attempt"] == "timeout"
    finally:
        fakes[0].mode = "normal"


def test_the_deadline_ends_a_request_that_nobody_answers(fakes: tuple[FakeEngine, ...]) -> None:
    fakes[0].mode = fakes[1].mode = "hang"
    try:
        with running(two_engines(*fakes, request_deadline=0.4)) as gateway:
            for stream in (True, False):
                status, _, body = post(gateway, chat(stream=stream))
                assert (status, json.loads(body)["error"]["code"]) == (504, "deadline_exceeded")
    finally:
        fakes[0].mode = fakes[1].mode = "normal"


def test_a_long_wait_is_kept_alive_by_comments_that_are_no_content(fakes: tuple[FakeEngine, ...]) -> None:
    fakes[0].first_delay = 0.8
    try:
        with running(two_engines(*fakes), keep_alive_seconds=0.2) as gateway:
            raw = post(gateway, chat(stream=True))[2]
            assert raw.startswith(b": keep-alive\n\n")
            assert events(raw)[-1] == "[DONE]"
            assert gateway.outcome()["ttft"] > 0.5
    finally:
        fakes[0].first_delay = 0.0


def test_a_socket_that_went_stale_is_replaced_and_blames_nobody(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...]
) -> None:
    post(gateway, chat())
    idle = gateway.app.hub.pool._idle
    (address,) = [key for key in idle if key.port == fakes[0].port]
    post(gateway, chat())
    fakes[0].stop()
    fakes[0].start()  # the same port: pooled sockets are dead, fresh ones work
    wait_until(lambda: all(connection.closed for connection in idle[address]))
    assert post(gateway, chat())[1]["x-chosen-engine"] == "first"
    assert len(gateway.outcome(3)["attempts"]) == 1


def test_an_engine_killed_in_the_middle_ends_the_stream_with_an_error(fakes: tuple[FakeEngine, ...]) -> None:
    with engines(FakeEngine(tokens=200, interval=0.02)) as (victim,), running(two_engines(victim, fakes[1])) as gateway:
        threading.Timer(0.4, victim.stop).start()
        raw, ended_well = _read_raw(gateway)
        assert events(raw)[-1]["error"]["code"]
        assert not ended_well
        assert gateway.outcome()["result"] in {"truncated", "reset"}
        # It is down now: the next request goes elsewhere by itself, and the console learns whom to probe.
        assert post(gateway, chat())[1]["x-chosen-engine"] == "second"
        wait_until(lambda: any(10 in report["suspect_replicas"] for report in gateway.doors.reports))


@pytest.mark.parametrize(
    ("stream", "mode"), [(True, "normal"), (False, "normal"), (True, "hang_headers"), (True, "hang")]
)
def test_a_client_that_leaves_stops_the_engine(
    gateway: RunningGateway, fakes: tuple[FakeEngine, ...], mode: str, *, stream: bool
) -> None:
    fakes[0].mode, fakes[0].tokens, fakes[0].interval = mode, 500, 0.02
    cancelled = fakes[0].cancelled
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", json.dumps(chat(stream=stream)), HEADERS)
    wait_until(lambda: fakes[0].running == 1)
    time.sleep(0.2)
    connection.sock.close()
    connection.close()
    wait_until(lambda: fakes[0].cancelled == cancelled + 1, seconds=1.0)
    outcome = gateway.outcome()
    assert (outcome["result"], outcome["status"]) == ("cancelled", 499)
    assert outcome["attempts"][0]["result"] == "cancelled"
