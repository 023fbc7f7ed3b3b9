"""Where requests go on the wire: long prompts by rule, conversations by prefix, the rest by outstanding tokens."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from routing.table import Role, Table
from tests.fakes.engine import FakeEngine
from tests.gateway.harness import chat, engines, entry, healthy, make_table, post, running, wait_until
from tests.routing.tables import member

LONG = "word " * 9000


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[FakeEngine, ...]]:
    with engines(FakeEngine(), FakeEngine()) as fakes:
        yield fakes


def _pair(small: FakeEngine, large: FakeEngine) -> Table:
    found = [entry("hf-demo", 1, small.url, kind="custom"), entry("vllm-demo", 2, large.url, kind="vllm")]
    return make_table(found, [member("hf-demo", 100), member("vllm-demo", role=Role.STANDBY)])


def test_a_long_prompt_goes_to_the_other_engine_while_the_preferred_one_is_stopped() -> None:
    with engines(FakeEngine(), FakeEngine()) as (small, large), running(_pair(small, large)) as gateway:
        status, headers, _ = post(gateway, chat(LONG))
        assert (status, headers["x-chosen-engine"], headers["x-decision-rule"]) == (200, "vllm-demo", "long_input")
        why = gateway.outcome()["decision"]["why"]
        assert why == "vllm-demo is of kind vllm and 9000 input tokens are more than 8192."

        large.stop()  # no probe has noticed yet: tried, refused, answered by the other
        status, headers, _ = post(gateway, chat(LONG))
        assert (status, headers["x-chosen-engine"]) == (200, "hf-demo")
        found = gateway.outcome(2)
        assert [(item["engine"], item["result"]) for item in found["attempts"]] == [
            ("vllm-demo", "refused"),
            ("hf-demo", "ok"),
        ]

        gateway.doors.health = replace(healthy(gateway.doors.table, sick=("vllm-demo",)), sequence=2)
        wait_until(lambda: gateway.app.hub.follower.snapshot.health.sequence == 2)
        status, headers, _ = post(gateway, chat(LONG))
        assert (status, headers["x-chosen-engine"], headers["x-decision-rule"]) == (200, "hf-demo", "split")
        decision = gateway.outcome(3)["decision"]
        assert decision["why"].startswith("9000 input tokens are more than 8192, but vllm-demo: unhealthy. ")
        seen = next(item for item in decision["candidates"] if item["engine"] == "vllm-demo")
        assert seen["reasons"] == ["unhealthy"]


def test_a_conversation_stays_on_the_replica_that_has_read_it(two: tuple[FakeEngine, ...]) -> None:
    table = make_table([entry("a", 1, *(fake.url for fake in two))], [member("a", 100)])
    with running(table) as gateway:
        for talk in range(6):
            messages = [{"role": "system", "content": f"Talk {talk}. " + "You are patient. " * 60}]
            used = set()
            for turn in range(4):
                messages = [*messages, {"role": "user", "content": f"And {turn}? " * 30}]
                before = [fake.hits for fake in two]
                assert post(gateway, {"model": "demo", "messages": messages})[0] == 200
                used |= {number for number, fake in enumerate(two) if fake.hits > before[number]}
            assert len(used) == 1
        found = gateway.outcome(24)["decision"]
        assert found["policy"] == "prefix_affinity"
        assert "bytes of this prompt before" in found["policy_why"]


def test_with_the_setting_off_the_replica_is_found_by_outstanding_tokens(two: tuple[FakeEngine, ...]) -> None:
    table = make_table([entry("a", 1, *(fake.url for fake in two))], [member("a", 100)], enable_prefix_cache=False)
    with running(table) as gateway:
        post(gateway, chat("You are patient. " * 60))
        found = gateway.outcome()["decision"]
        assert found["policy"] == "least_outstanding"
        assert "0 tokens outstanding" in found["policy_why"]
        assert gateway.app.hub.work.placed == {}


def test_answers_tell_how_fast_a_replica_is(two: tuple[FakeEngine, ...]) -> None:
    with running(make_table([entry("a", 1, two[0].url)], [member("a", 100)])) as gateway:
        for stream in (True, False, True):
            post(gateway, chat(stream=stream))
        load = gateway.app.hub.work.loads[10]
        assert load.pace is not None
        assert load.pace > 0
        assert (load.in_flight, load.in_flight_tokens) == (0, 0)
