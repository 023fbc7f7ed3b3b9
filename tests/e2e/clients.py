"""Clients of the running product: a bounded rate of requests, each in a session of its own, and how they ended."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

from tests.e2e.stack import Stack


class Clients(threading.Thread):
    """`rate` requests a second, each a session of its own, until stopped; counts how they end and who answered."""

    def __init__(self, stack: Stack, rate: float) -> None:
        super().__init__(daemon=True)
        self.stack, self.rate = stack, rate
        self.ends, self.engines = Counter[str](), Counter[str]()
        self.stop = threading.Event()

    def __enter__(self) -> "Clients":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(60)

    def run(self) -> None:
        askers = []
        for number in range(100_000):
            if self.stop.wait(1 / self.rate):
                break
            askers.append(threading.Thread(target=self._ask, args=(number,), daemon=True))
            askers[-1].start()
        for asker in askers[-200:]:
            asker.join(30)

    def _ask(self, number: int) -> None:
        body = {"model": "demo", "messages": [{"role": "user", "content": "What is a canary?"}], "max_tokens": 8}
        headers = {
            "Authorization": f"Bearer {self.stack.facts['api_key']}", "Content-Type": "application/json",
            "x-session-id": f"client-{number}-{time.time()}",
        }  # fmt: skip
        url = f"{self.stack.facts['gateway_url']}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                self.engines[answer.headers["x-chosen-engine"]] += 1
                self.ends["ok"] += 1
        except urllib.error.HTTPError as error:
            self.ends[f"status {error.code}"] += 1
        except OSError as error:
            self.ends[type(error).__name__] += 1
