"""On a simulated queue, where slow requests come in clumps, the design effect keeps "proven" from being a coin flip."""

import heapq
import random

from gates.stats import grade, latency_design_effect
from gates.verdict import Grade

SLOTS, MEAN, LOAD, RUNS, N = 16, 6.0, 0.7, 100, 3600


def waits(source: random.Random, n: int) -> list[float]:
    """Seconds from arrival to the start of service, first come first served."""
    now, found, free = 0.0, [], [0.0] * SLOTS
    for _ in range(n):
        now += source.expovariate(LOAD * SLOTS / MEAN)
        start = max(now, heapq.heappop(free))
        heapq.heappush(free, start + source.gammavariate(2, MEAN / 2))
        found.append(start - now + 0.2 + source.random() * 0.2)
    return found


def test_clumping_is_what_makes_a_plain_interval_claim_too_much() -> None:
    """The limit lies exactly at the true P95, so either decisive grade should come in 5 % of runs."""
    long = sorted(waits(random.Random(1), 300_000))
    limit = long[int(0.95 * len(long))]
    proven = {"plain": 0, "deflated": 0}
    for seed in range(RUNS):
        values = waits(random.Random(1000 + seed), N + 1000)[1000:]
        k = sum(value > limit for value in values)
        effects = {"plain": 1.0, "deflated": latency_design_effect(values, limit, 30)}
        for name, effect in effects.items():
            proven[name] += grade(k=k, n=N, share=0.05, passed=True, effect=effect) == Grade.PROVEN
    assert proven["plain"] > 0.3 * RUNS
    assert proven["deflated"] < 0.15 * RUNS
