"""Least outstanding tokens by the power of two choices: which replica of an engine takes the next request. Pure.

Each request draws two replicas by its own id, so that many gateways do not all run to the one that looks idle.
"""

import zlib
from collections.abc import Sequence

from routing.decision import Loads, ReplicaLoad, RequestFacts
from routing.table import ReplicaEntry

IDLE = ReplicaLoad()
PACE_SECONDS = 30.0  # an older pace says nothing: the replica is tried and measured again
SLOW_FROM, SLOW_TO = 2.0, 8.0  # less than SLOW_FROM times the fastest pace is noise of unlike requests


def rank(
    replicas: Sequence[ReplicaEntry], facts: RequestFacts, loads: Loads, *, tie: int, now: float
) -> list[ReplicaEntry]:
    """The cheaper of the two drawn, then the others by cost. `tie`, from the sticky key, settles equal ones."""
    count = len(replicas)
    if count == 1:
        return list(replicas)
    paid = costs(replicas, facts.expected_tokens, loads, now)
    drawn = draw(facts.request_id, count)

    def place(index: int) -> tuple[bool, float, int]:
        return index not in drawn, paid[index], (tie * 40_503 + replicas[index].id * 2_654_435_761) & 0xFFFF

    return [replicas[index] for index in sorted(range(count), key=place)]


def draw(request_id: str, count: int) -> tuple[int, int]:
    """Two different indices below `count`, which is at least 2; always the same for one request."""
    number = zlib.crc32(request_id.encode("utf-8", "surrogatepass"))
    first = number % count
    return first, (first + 1 + number // count % (count - 1)) % count


def costs(replicas: Sequence[ReplicaEntry], tokens: int, loads: Loads, now: float) -> list[float]:
    """Per replica: the tokens it would have outstanding with this request, times how slow it is."""
    seen = [loads.get(replica.id, IDLE) for replica in replicas]
    return [(load.in_flight_tokens + tokens) * slow for load, slow in zip(seen, slowness(seen, now), strict=True)]


def slowness(loads: Sequence[ReplicaLoad], now: float) -> list[float]:
    """How many times slower each is than the fastest: 1 where that is not known, or not enough to be sure."""
    paces = [load.pace if load.pace is not None and now - load.paced_at <= PACE_SECONDS else None for load in loads]
    fastest = min((pace for pace in paces if pace), default=0.0)
    if not fastest:
        return [1.0] * len(paces)
    ratios = [pace / fastest if pace else 1.0 for pace in paces]
    return [min(ratio, SLOW_TO) if ratio >= SLOW_FROM else 1.0 for ratio in ratios]
