"""Routing between replicas: `python -m bench.routing` (the repository root as working directory).

The product's own decision code against round robin on three simulated replicas (bench/routing_sim.py): the same
conversations on equal replicas and with one of them four times slower. Time is simulated, so the machine matters only
for the cost of a decision. Writes bench/results/routing.json.
"""

import argparse
import heapq
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from bench.hf_engine import commit, machine
from bench.routing_sim import BYTES_PER_TOKEN, CACHE_TOKENS, OPENING_BYTES, Call, Replica, Talk, talks
from routing.decision import RequestFacts
from routing.gateway.limits import Work
from routing.policies.prefix_affinity import LEADING_BYTES
from routing.rules import decide
from routing.table import EngineEntry, Health, Member, ReplicaEntry, ReplicaHealth, Role, RouteEntry, Settings, Table

RESULT = Path(__file__).parent / "results" / "routing.json"
REPLICAS, APPLICATIONS, TALKS, SEED = 3, 60, 1500, 5
MAX_TOKENS = 256
GOALS = {"hit_ratio": 2.0, "most_loaded": 1.3, "slow_ttft_ratio": 0.5}
ROUND_ROBIN, LEAST, AFFINITY = "round robin", "least outstanding", "prefix affinity"


@dataclass(frozen=True, slots=True)
class Scene:
    """One workload. `rate` is conversations per second, `slow` how many times longer the first replica takes.

    `skew` as in routing_sim.talks. The judged ones have goals.
    """

    name: str
    rate: float = 1.8
    skew: float = 0.0
    slow: float = 1.0
    judged: bool = True


SCENES = (
    Scene("equal replicas"),
    Scene("equal replicas, few popular applications", skew=1.0, judged=False),
    Scene("one 4 times slower", slow=4.0),
    Scene("one 4 times slower, light traffic", slow=4.0, rate=0.5),
)


class Product:
    """The gateway's part: facts in, a replica out, and what it counts meanwhile."""

    def __init__(self, *, affinity: bool) -> None:
        replicas = tuple(ReplicaEntry(number, f"http://replica-{number}") for number in range(REPLICAS))
        engine = EngineEntry(name="a", kind="vllm", served_model="m", max_in_flight=10_000, replicas=replicas)
        route = RouteEntry(name="demo", revision=1, salt="s", members=(Member("a", Role.SPLIT, 100),))
        settings = replace(Settings(), enable_prefix_cache=affinity)
        self.table = Table(version=1, engines={"a": engine}, routes={"demo": route}, settings=settings)
        healthy = {number: ReplicaHealth(1.0, True, 0.0) for number in range(REPLICAS)}
        self.health = Health(1, 0.0, healthy)
        self.work = Work()
        self.costs: list[float] = []

    def choose(self, call: Call) -> int:
        name = f"req_{call.number}"
        facts = RequestFacts(
            request_id=name, route="demo", input_tokens=call.input, tokens_estimated=True, required_context=0,
            sticky_key=name, sticky_unit="request", expected_tokens=call.input + MAX_TOKENS,
            leading=call.text[:LEADING_BYTES],
        )  # fmt: skip
        begun = time.perf_counter()
        decision = decide(facts, self.table, self.health, self.work.loads, call.arrived, placed=self.work.placed)
        chosen = decision.order[0][1]
        self.work.begin(chosen, facts.expected_tokens)
        self.work.place(decision.beginnings, chosen)
        self.costs.append(time.perf_counter() - begun)
        return chosen

    def began(self, call: Call) -> None:
        self.work.read(call.replica, call.input)

    def ended(self, call: Call) -> None:
        self.work.end(call.replica, MAX_TOKENS)
        self.work.answered(
            call.replica,
            input_tokens=call.input - call.cached,
            output_tokens=call.output,
            seconds=call.ended - call.arrived,
            now=call.ended,
        )


class RoundRobin:
    def __init__(self) -> None:
        self.costs: list[float] = []
        self._next = count()

    def choose(self, call: Call) -> int:
        return next(self._next) % REPLICAS

    def began(self, call: Call) -> None:
        pass

    def ended(self, call: Call) -> None:
        pass


POLICIES: tuple[tuple[str, Callable[[], Product | RoundRobin]], ...] = (
    (ROUND_ROBIN, RoundRobin),
    (LEAST, lambda: Product(affinity=False)),
    (AFFINITY, lambda: Product(affinity=True)),
)


class World:
    """One run: time jumps from event to event. `outstanding` in tokens per replica, `sums` the same over time."""

    def __init__(self, chooser: Product | RoundRobin, scene: Scene) -> None:
        self.chooser = chooser
        self.replicas = [Replica(scene.slow if number == 0 else 1.0) for number in range(REPLICAS)]
        self.done: list[Call] = []
        self.now = 0.0
        self.outstanding, self.sums = [0] * REPLICAS, [0.0] * REPLICAS
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        for at, talk in talks(SEED, TALKS, applications=APPLICATIONS, rate=scene.rate, skew=scene.skew):
            self._at(at, self._ask, talk, 0)

    def run(self) -> None:
        while self._events:
            at, _, happen, what = heapq.heappop(self._events)
            gone, self.now = at - self.now, at
            self.sums = [total + tokens * gone for total, tokens in zip(self.sums, self.outstanding, strict=True)]
            happen(*what)

    def _at(self, when: float, happen: Callable[..., None], *what: Any) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), happen, what))

    def _ask(self, talk: Talk, turn: int) -> None:
        call = Call(next(self._numbers), talk, talk.text(turn), talk.turns[turn][1], self.now, turn)
        call.replica = self.chooser.choose(call)
        self.outstanding[call.replica] += call.input + call.output
        self.replicas[call.replica].waiting.append(call)
        if not self.replicas[call.replica].busy:
            self._begin(call.replica)

    def _begin(self, number: int) -> None:
        seconds = self.replicas[number].begin()
        if seconds is not None:
            self._at(self.now + seconds, self._end, number)

    def _end(self, number: int) -> None:
        begun, ended = self.replicas[number].end(self.now)
        for call in begun:
            self.chooser.began(call)
        for call in ended:
            self._finish(call)
        self._begin(number)

    def _finish(self, call: Call) -> None:
        call.ended = self.now
        self.chooser.ended(call)
        self.outstanding[call.replica] -= call.input + call.output
        self.done.append(call)
        if call.turn + 1 < len(call.talk.turns):
            self._at(self.now + call.talk.turns[call.turn][3], self._ask, call.talk, call.turn + 1)


def side(name: str, make: Callable[[], Product | RoundRobin], scene: Scene) -> dict[str, Any]:
    chooser = make()
    world = World(chooser, scene)
    world.run()
    done, sums = world.done, world.sums
    ttft = sorted(call.first - call.arrived for call in done)
    tokens = [sum(call.input + call.output for call in done if call.replica == n) for n in range(REPLICAS)]
    return {
        "name": name,
        "scene": scene.name,
        "requests": len(done),
        "hit_rate": round(sum(call.cached for call in done) / sum(call.input for call in done), 4),
        "most_tokens": round(max(tokens) / statistics.mean(tokens), 3),
        "most_outstanding": round(max(sums) / statistics.mean(sums), 3),
        "first_share": round(tokens[0] / sum(tokens), 3),
        "ttft_p50_ms": round(statistics.median(ttft) * 1000, 1),
        "ttft_p95_ms": round(ttft[int(len(ttft) * 0.95)] * 1000, 1),
        "decision_us": round(statistics.median(chooser.costs) * 1e6, 1) if chooser.costs else None,
    }


def results(sides: list[dict[str, Any]]) -> dict[str, float]:
    """The figures that have goals, each at its worst."""
    found = {(one["scene"], one["name"]): one for one in sides}
    alike, full, light = ({name: found[scene.name, name] for name, _ in POLICIES} for scene in SCENES if scene.judged)
    return {
        "hit_ratio": round(alike[AFFINITY]["hit_rate"] / alike[ROUND_ROBIN]["hit_rate"], 2),
        "most_loaded": max(alike[AFFINITY]["most_tokens"], alike[AFFINITY]["most_outstanding"]),
        "slow_ttft_ratio": max(
            round(scene[name]["ttft_p95_ms"] / scene[ROUND_ROBIN]["ttft_p95_ms"], 3)
            for scene in (full, light)
            for name in (LEAST, AFFINITY)
        ),
    }


def run() -> dict[str, Any]:
    sides = [side(name, make, scene) for scene in SCENES for name, make in POLICIES]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "setup": {"replicas": REPLICAS, "conversations": TALKS, "applications": APPLICATIONS,
                  "opening_tokens": [size // BYTES_PER_TOKEN for size in OPENING_BYTES],
                  "cache_tokens": CACHE_TOKENS, "seed": SEED},
        "goals": GOALS,
        "sides": sides,
        "results": results(sides),
    }  # fmt: skip


def show(result: dict[str, Any]) -> None:
    columns = ("scene", "name", "hit_rate", "most_tokens", "most_outstanding", "first_share", "ttft_p50_ms",
               "ttft_p95_ms", "decision_us")  # fmt: skip
    print(f"{columns[0]:>44}" + "".join(f"{name:>19}" for name in columns[1:]))
    for one in result["sides"]:
        figures = ["—" if one[name] is None else one[name] for name in columns]
        print(f"{figures[0]:>44}" + "".join(f"{figure:>19}" for figure in figures[1:]))
    for name, goal in result["goals"].items():
        print(f"{name}: {result['results'][name]} (goal {goal})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    result = run()
    show(result)
    if not options.no_save:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
