"""Splits on the running product: observed shares, stickiness, conflicts, and an engine killed mid-stream."""

import collections
import concurrent.futures
import http.client
import json
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from tests.e2e.pages import Operator
from tests.e2e.stack import Stack, wait_for

pytestmark = pytest.mark.stack

KEYS = 1000


def chosen_engine(sdk: openai.OpenAI, session: str) -> str:
    raw = sdk.chat.completions.with_raw_response.create(
        model="demo",
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=1,
        extra_headers={"x-session-id": session},
    )
    return raw.headers["x-chosen-engine"]


def ask_all(sdk: openai.OpenAI, sessions: range) -> dict[int, str]:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        engines = pool.map(lambda number: chosen_engine(sdk, f"session-{number}"), sessions)
        return dict(zip(sessions, engines, strict=True))


def test_a_30_70_split_is_kept_within_three_points_and_is_sticky(stack: Stack, sdk: openai.OpenAI) -> None:
    with Operator(stack) as operator:
        operator.change_split({"hf-demo": 30, "hf-demo-b": 70}, "measure the split")
        first = ask_all(sdk, range(KEYS))
        share = collections.Counter(first.values())["hf-demo"] / KEYS
        assert abs(share - 0.30) <= 0.03
        again = ask_all(sdk, range(0, KEYS, 10))
        assert all(first[number] == engine for number, engine in again.items())
        operator.change_split({"hf-demo": 100, "hf-demo-b": 0}, "back to the baseline")
        assert set(ask_all(sdk, range(0, KEYS, 10)).values()) == {"hf-demo"}


def test_two_operators_who_save_different_splits_do_not_overwrite_each_other(stack: Stack) -> None:
    with Operator(stack) as first, Operator(stack, role="approver") as second:
        opened = second.open_split()
        first.change_split({"hf-demo": 90, "hf-demo-b": 10}, "a first careful step")
        refused = second.save_split(opened, {"hf-demo": 50, "hf-demo-b": 50}, "half of it please")
        assert refused.status == 409
        assert first.user["name"] in refused.text
        assert second.weights() == {"hf-demo": 90, "hf-demo-b": 10}
        first.change_split({"hf-demo": 100, "hf-demo-b": 0}, "back to the baseline")


def test_an_engine_killed_mid_stream_is_told_to_the_client_and_comes_back(stack: Stack) -> None:
    killed, seen = kill_mid_stream(stack, "hf-demo-b")
    assert "error" in seen[-1]
    assert all("error" not in event for event in seen[:-1])
    with Operator(stack) as operator:
        wait_for(
            lambda: operator.overview_says("hf-demo-b", {"Unreachable", "Out of rotation"}),
            seconds=10,
            what="Overview shows that hf-demo-b is out",
        )
    wait_for(lambda: not in_rotation(stack, "hf-demo-b"), seconds=10, what="the gateway has heard that it is out")
    wait_for(lambda: stack.pid("hf-demo-b") != killed or None, seconds=20, what="supervisor restarts the engine")
    wait_for(lambda: in_rotation(stack, "hf-demo-b"), seconds=90, what="the engine returns to rotation by itself")


def kill_mid_stream(stack: Stack, engine: str) -> tuple[int, list[dict[str, Any]]]:
    """The killed pid and every event that the client got. The connection is cut after the last one, on purpose."""
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": "What is a canary?"}],
        "stream": True,
        "max_tokens": 8000,
        "ignore_eos": True,
    }
    headers = {
        "Authorization": f"Bearer {stack.facts['api_key']}",
        "Content-Type": "application/json",
        "x-engine": engine,
    }
    address = urlsplit(stack.facts["gateway_url"])
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        seen, killed = [], 0
        with suppress(http.client.IncompleteRead, ConnectionResetError), connection.getresponse() as response:
            while line := response.readline():
                if line.startswith(b"data: "):
                    assert line != b"data: [DONE]\n"
                    seen.append(json.loads(line.removeprefix(b"data: ")))
                if len(seen) == 5 and not killed:
                    killed = stack.kill(engine)
    return killed, seen


def in_rotation(stack: Stack, name: str) -> bool:
    return any(replica["in_rotation"] for replica in stack.healthz()["engines"][name]["replicas"])
