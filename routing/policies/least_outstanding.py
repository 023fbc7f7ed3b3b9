"""Least outstanding work: which replica of an engine takes the next request. Pure.

Two random choices help only against herds of many gateways; with a few replicas the full comparison wins.
"""

from collections.abc import Sequence

from routing.decision import Loads, ReplicaLoad
from routing.table import ReplicaEntry

IDLE = ReplicaLoad()


def rank(replicas: Sequence[ReplicaEntry], loads: Loads, affinity: int) -> list[ReplicaEntry]:
    """Least outstanding tokens first; `affinity` (any number of the sticky key) keeps ties on one replica."""
    if len(replicas) == 1:
        return list(replicas)
    return sorted(replicas, key=lambda replica: _cost(replica, loads, affinity))


def _cost(replica: ReplicaEntry, loads: Loads, affinity: int) -> tuple[int, int, int]:
    load = loads.get(replica.id, IDLE)
    return load.in_flight_tokens, load.in_flight, (affinity * 40_503 + replica.id * 2_654_435_761) & 0xFFFF
