"""The gateway and the world around it: splits, limits, new tables under live streams, doors that fail."""

import hashlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from routing.table import EngineState, KeyEntry, Role
from tests.fakes.engine import FakeEngine
from tests.gateway.harness import (
    KEY,
    MemoryDoors,
    RunningGateway,
    chat,
    engines,
    entry,
    events,
    get,
    healthy,
    make_table,
    post,
    running,
    wait_until,
)
from tests.routing.tables import member


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeEngine]:
    with engines(FakeEngine()) as (one,):
        yield one


def _many(gateway: RunningGateway, keys: list[str]) -> dict[str, str]:
    """Which engine answered each session key."""
    found = {}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    body = json.dumps(chat(max_tokens=1))
    for key in keys:
        names = {"content-type": "application/json", "authorization": f"Bearer {KEY}", "x-session-id": key}
        connection.request("POST", "/v1/chat/completions", body, names)
        answer = connection.getresponse()
        answer.read()
        found[key] = answer.headers["x-chosen-engine"]
    connection.close()
    return found


def test_a_split_of_30_to_70_is_kept_over_a_thousand_sessions_and_sticks(fake: FakeEngine) -> None:
    members = [member("a", 30), member("b", 70), member("none", 0), member("canary", 0, canary=True)]
    names = [entry(item.engine, number, fake.url) for number, item in enumerate(members, start=1)]
    with running(make_table(names, members)) as gateway:
        keys = [f"session-{number}" for number in range(1000)]
        first = _many(gateway, keys)
        counts = Counter(first.values())
        assert abs(counts["a"] - 300) <= 30
        assert counts["a"] + counts["b"] == 1000
        assert _many(gateway, keys[:100]) == {key: first[key] for key in keys[:100]}


def test_the_sticky_key_is_the_session_then_the_user_then_the_request(fake: FakeEngine) -> None:
    with running(make_table([entry("a", 1, fake.url)], [member("a", 100)])) as gateway:
        post(gateway, chat(user="u"), x_session_id="s")
        post(gateway, chat(user="u"))
        post(gateway, chat())
        gateway.outcome(3)
        assert [item["sticky_unit"] for item in gateway.doors.outcomes] == ["session", "user", "request"]


def test_a_full_engine_is_a_503_that_says_when_to_come_back() -> None:
    with engines(FakeEngine(first_delay=1.0)) as (slow,):
        table = make_table([entry("a", 1, slow.url, max_in_flight=1)], [member("a", 100)])
        with running(table) as gateway:
            first = threading.Thread(target=post, args=(gateway, chat()))
            first.start()
            wait_until(lambda: slow.running == 1)
            status, headers, body = post(gateway, chat())
            first.join()
            assert (status, json.loads(body)["error"]["code"]) == (503, "overloaded")
            assert int(headers["retry-after"]) >= 1
            gateway.outcome(2)
            refused = next(item for item in gateway.doors.outcomes if item["status"] == 503)
            assert refused["result"] == "rejected"
            assert refused["decision"]["candidates"][0]["reasons"] == ["in_flight_cap"]
            assert post(gateway, chat())[0] == 200


def test_a_long_input_is_counted_by_the_engine_and_goes_to_the_preferred_kind(fake: FakeEngine) -> None:
    found = [entry("small", 1, fake.url, kind="custom"), entry("large", 2, fake.url, kind="vllm")]
    members = [member("small", 100), member("large", role=Role.STANDBY)]
    with running(make_table(found, members)) as gateway:
        for words, engine in ((8192, "small"), (8193, "large")):
            status, headers, _ = post(gateway, chat("x " * words))
            assert (status, headers["x-chosen-engine"]) == (200, engine)
        gateway.outcome(2)
        assert [item["decision"]["input_tokens"] for item in gateway.doors.outcomes] == [8192, 8193]
        assert not any(item["decision"]["tokens_estimated"] for item in gateway.doors.outcomes)


def test_a_new_table_takes_over_while_a_stream_goes_on() -> None:
    with engines(FakeEngine(tokens=40, interval=0.02), FakeEngine()) as (old, new):
        found = [entry("old", 1, old.url), entry("new", 2, new.url)]
        table = make_table(found, [member("old", 100), member("new", 0)])
        with running(table) as gateway:
            answers: list[bytes] = []
            stream = threading.Thread(target=lambda: answers.append(post(gateway, chat(stream=True))[2]))
            stream.start()
            wait_until(lambda: old.running == 1)
            gateway.publish(make_table([entry("new", 2, new.url)], [member("new", 100)]))
            assert post(gateway, chat())[1]["x-chosen-engine"] == "new"
            stream.join()
            assert len(events(answers[0])) == 42
            assert events(answers[0])[-1] == "[DONE]"


def test_a_drained_engine_gets_nothing_new_and_a_revoked_key_is_refused(fake: FakeEngine) -> None:
    table = make_table([entry("a", 1, fake.url)], [member("a", 100)])
    with running(table) as gateway:
        assert post(gateway, chat())[0] == 200
        gateway.publish(make_table([entry("a", 1, fake.url, state=EngineState.DRAINING)], [member("a", 100)]))
        status, _, body = post(gateway, chat())
        assert (status, json.loads(body)["error"]["code"]) == (503, "no_healthy_engine")
        assert get(gateway, "/healthz")[0] == 503
        other = {hashlib.sha256(b"other").hexdigest(): KeyEntry(id=9, name="other")}
        gateway.publish(type(table)(version=1, engines=table.engines, routes=table.routes, keys=other))
        assert post(gateway, chat())[0] == 401


def test_traffic_goes_on_when_every_door_fails_and_nothing_is_lost(fake: FakeEngine) -> None:
    with running(make_table([entry("a", 1, fake.url)], [member("a", 100)])) as gateway:
        gateway.doors.broken = True
        time.sleep(0.2)
        assert [post(gateway, chat())[0] for _ in range(5)] == [200] * 5
        assert gateway.app.state()["table_age_seconds"] > 0.1
        assert not gateway.doors.outcomes
        gateway.doors.broken = False
        gateway.outcome(5)
        assert len({item["request_id"] for item in gateway.doors.outcomes}) == 5


def test_a_gateway_without_a_table_says_so(fake: FakeEngine) -> None:
    table = make_table([entry("a", 1, fake.url)], [member("a", 100)])
    doors = MemoryDoors(table, healthy(table))
    doors.broken = True
    gateway = RunningGateway(doors)
    try:
        status, headers, _ = post(gateway, chat())
        assert (status, headers["x-should-retry"]) == (503, "true")
        assert get(gateway, "/livez")[0] == 200
        doors.broken = False
        wait_until(lambda: post(gateway, chat())[0] == 200)
    finally:
        gateway.stop()


def test_outcomes_are_saved_when_the_gateway_stops(fake: FakeEngine) -> None:
    with running(make_table([entry("a", 1, fake.url)], [member("a", 100)]), flush_seconds=60.0) as gateway:
        post(gateway, chat())
        assert not gateway.doors.outcomes
    assert len(gateway.doors.outcomes) == 1


def test_a_stream_that_runs_is_finished_before_the_gateway_stops() -> None:
    with engines(FakeEngine(tokens=30, interval=0.02)) as (slow,):
        answers: list[bytes] = []
        with running(make_table([entry("a", 1, slow.url)], [member("a", 100)])) as gateway:
            stream = threading.Thread(target=lambda: answers.append(post(gateway, chat(stream=True))[2]))
            stream.start()
            wait_until(lambda: slow.running == 1)
        stream.join()
        assert events(answers[0])[-1] == "[DONE]"


def test_an_outcome_holds_the_timings_and_tokens_of_a_stream() -> None:
    with (
        engines(FakeEngine(tokens=10, interval=0.02, first_delay=0.1)) as (slow,),
        running(make_table([entry("a", 1, slow.url)], [member("a", 100)])) as gateway,
    ):
        post(gateway, chat(stream=True))
        outcome = gateway.outcome()
    assert 0.1 <= outcome["ttft"] < outcome["e2e"]
    assert 0.015 <= outcome["tpot"] <= 0.2
    assert (outcome["input_tokens"], outcome["output_tokens"]) == (4, 10)
    assert not outcome["ttft_late"]
    assert outcome["attempts"][0]["first_content"] == outcome["ttft"]


def test_a_report_says_when_each_replica_last_showed_a_token() -> None:
    slow, quick = FakeEngine(tokens=200, interval=0.02), FakeEngine()
    with engines(slow, quick) as (one, two):
        members = [member("slow", 100), member("quick", role=Role.STANDBY), member("idle", role=Role.STANDBY)]
        table = make_table([entry("slow", 1, one.url), entry("quick", 2, two.url), entry("idle", 3, two.url)], members)
        with running(table) as gateway:
            assert post(gateway, chat(), x_engine="quick")[0] == 200
            begun = time.time()
            stream = threading.Thread(target=post, args=(gateway, chat(stream=True)), daemon=True)
            stream.start()
            wait_until(lambda: any("10" in report["tokens_seen_at"] for report in gateway.doors.reports), seconds=8)
            seen = gateway.doors.reports[-1]["tokens_seen_at"]
            assert sorted(seen) == ["10", "20"]
            assert seen["20"] < begun <= seen["10"] <= time.time()
            stream.join(20)
