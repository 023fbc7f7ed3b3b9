"""Least outstanding tokens by the power of two choices: which replica of an engine takes the next request. Pure.

Each request draws two replicas by its own id, so that many gateways do not all run to the one that looks idle.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from routing.decision import Loads, ReplicaLoad, RequestFacts
from routing.table import ReplicaEntry

IDLE = ReplicaLoad()
PACE_SECONDS = 30.0  # an older pace says nothing: the replica is tried and measured again
SLOW_FROM, SLOW_TO = 2.0, 8.0  # less than SLOW_FROM times the fastest pace is noise of unlike requests


class Weight(NamedTuple):
    """What a replica has outstanding, and how many times slower it is than the fastest (1 where not known)."""

    tokens: int
    slow: float

    def cost(self, tokens: int) -> float:
        """What it would have outstanding with so many tokens more, in tokens of the fastest."""
        return (self.tokens + tokens) * self.slow


def rank(
    replicas: Sequence[ReplicaEntry], facts: RequestFacts, loads: Loads, *, tie: int, now: float
) -> list[ReplicaEntry]:
    """The cheaper of the two drawn, then the others by cost. `tie`, from the sticky key, settles equal ones."""
    if len(replicas) == 1:
        return list(replicas)
    paid = [weight.cost(facts.expected_tokens) for weight in weigh(replicas, loads, now)]
    return [replicas[index] for index in places(replicas, paid, facts.request_id, tie)]


def places(replicas: Sequence[ReplicaEntry], costs: Sequence[float], request_id: str, tie: int) -> list[int]:
    """The order of `rank` as indices; at least two replicas."""
    first, second = draw(request_id, len(replicas))
    keys = [
        (index not in (first, second), cost, (tie * 40_503 + replicas[index].id * 2_654_435_761) & 0xFFFF, index)
        for index, cost in enumerate(costs)
    ]
    return [key[3] for key in sorted(keys)]


def draw(request_id: str, count: int) -> tuple[int, int]:
    """Two different indices below `count`, which is at least 2; always the same for one request."""
    number = zlib.crc32(request_id.encode("utf-8", "surrogatepass"))
    first = number % count
    return first, (first + 1 + number // count % (count - 1)) % count


def weigh(replicas: Sequence[ReplicaEntry], loads: Loads, now: float) -> list[Weight]:
    """A pace that is old, or less than SLOW_FROM times the fastest, makes nobody slow."""
    seen = [loads.get(replica.id, IDLE) for replica in replicas]
    since = now - PACE_SECONDS
    paces = [load.pace for load in seen if load.pace and load.paced_at >= since]
    if len(paces) < 2:
        return [Weight(load.in_flight_tokens, 1.0) for load in seen]
    limit = min(paces) * SLOW_FROM
    return [
        Weight(load.in_flight_tokens, min(load.pace * SLOW_FROM / limit, SLOW_TO))
        if load.pace and load.pace >= limit and load.paced_at >= since
        else Weight(load.in_flight_tokens, 1.0)
        for load in seen
    ]
