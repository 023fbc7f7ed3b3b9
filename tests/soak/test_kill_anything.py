"""kill -9 of every process in turn, under light bounded load: all of them come back, and no client hangs."""

import random
import threading
import time
from collections import Counter
from typing import Any

import openai
import pytest

from tests.e2e.pages import Operator
from tests.e2e.stack import Stack, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.soak]

PROCESSES = ("gateway", "console", "controller", "worker", "hf-demo", "hf-demo-b")
ROUNDS = 18
BACK_SECONDS = 60
QUESTION: list[Any] = [{"role": "user", "content": "What is a canary?"}]


class Load(threading.Thread):
    """Two requests a second until stopped, each with a deadline; counts how each of them ended."""

    def __init__(self, sdk: openai.OpenAI) -> None:
        super().__init__(daemon=True)
        self.sdk, self.ends, self.slowest = sdk, Counter[str](), 0.0
        self.stop = threading.Event()

    def __enter__(self) -> "Load":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(60)

    def run(self) -> None:
        while not self.stop.wait(0.5):
            begun = time.monotonic()
            try:
                self.sdk.with_options(timeout=30).chat.completions.create(model="demo", messages=QUESTION)
                self.ends["ok"] += 1
            except openai.APIStatusError as refused:
                self.ends[f"status {refused.status_code}"] += 1
            except openai.APIConnectionError:
                self.ends["connection"] += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)


def is_back(stack: Stack, operator: Operator, name: str, killed: int) -> bool:
    try:
        alive = stack.pid(name) != killed
        able = all(engine["can_take_traffic"] for engine in stack.healthz()["engines"].values())
        return alive and able and operator.get("/engines/").status == 200
    except OSError:
        return False  # not answering yet


def kill_and_wait(stack: Stack, operator: Operator, name: str) -> None:
    killed = stack.kill(name)
    wait_for(lambda: is_back(stack, operator, name, killed), seconds=BACK_SECONDS, what=f"{name} is back")


def test_every_process_may_be_killed_at_any_time(stack: Stack, sdk: openai.OpenAI) -> None:
    order = [PROCESSES[number % len(PROCESSES)] for number in range(ROUNDS)]
    random.Random(7).shuffle(order)
    load = Load(sdk)
    with Operator(stack) as operator:
        operator.change_split({"hf-demo": 100, "hf-demo-b": "standby"}, "the other takes over in the soak")
        with load:
            for name in order:
                kill_and_wait(stack, operator, name)
    print(f"ends: {dict(load.ends)}, slowest {load.slowest:.1f} s")
    assert not load.is_alive()
    assert load.slowest < 30
    assert load.ends["ok"] > 0.8 * load.ends.total()
    assert set(load.ends) <= {"ok", "connection", "status 502", "status 503"}
