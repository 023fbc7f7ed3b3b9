"""Prefix affinity: a prompt goes where the cache of its beginning is, as long as that replica is not too full. Pure.

A prompt's beginning is cut into blocks and hashed into a chain: equal hashes mean equal beginnings. Where a gateway
placed one before comes first; a new one goes by rendezvous hashing, on which all gateways agree. Loads are bounded as
in consistent hashing with bounded loads.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

# Ends of the blocks in bytes: fine where conversations part from one another, coarse in long documents.
ENDS = tuple(accumulate([256] * 8 + [512] * 4 + [1024] * 4 + [2048] * 4 + [4096] * 4))
LEADING_BYTES = ENDS[-1]
BYTES_PER_TOKEN = 4
BOUND = 1.25
MASK = (1 << 64) - 1

Placed = Mapping[int, int]
"""Hash of a beginning → id of the replica that this gateway last sent it to."""


@dataclass(frozen=True, slots=True)
class Home:
    """The replica a prompt goes to. `known_bytes`: how much of its beginning was sent there before; 0 if nothing.

    `full` is the replica that would have been the one, had it not been too full.
    """

    replica: int
    known_bytes: int
    full: int | None = None


def chain(leading: str, seed: str) -> tuple[int, ...]:
    """One hash for each whole block, each covering all bytes up to its end. `seed` keeps models apart."""
    data = leading.encode("utf-8", "surrogatepass")
    digest, start, found = hashlib.blake2b(seed.encode(), digest_size=8), 0, []
    for end in ENDS:
        if end > len(data):
            break
        digest.update(data[start:end])
        start = end
        found.append(int.from_bytes(digest.digest(), "big"))
    return tuple(found)


def rendezvous(key: int, replicas: Sequence[int]) -> list[int]:
    """Replica ids, best first. One that joins or leaves moves only the keys that it has or had."""
    return sorted(replicas, key=lambda replica: _mix(key ^ _mix(replica)), reverse=True)


def home(hashes: Sequence[int], costs: Mapping[int, float], placed: Placed) -> Home:
    """`hashes`: a chain of at least one; `costs`: per replica id its outstanding tokens were this request added.

    What is cached already need not be computed again, so those tokens are taken off the cost of who has them.
    """
    limit = BOUND * sum(costs.values()) / len(costs)
    full: int | None = None
    for depth in range(len(hashes) - 1, -1, -1):
        replica = placed.get(hashes[depth])
        if replica is None or replica == full or replica not in costs:
            continue
        if costs[replica] - ENDS[depth] // BYTES_PER_TOKEN <= limit:
            return Home(replica, ENDS[depth], full)
        full = replica if full is None else full
    for replica in rendezvous(hashes[0], list(costs)):
        if costs[replica] <= limit:
            return Home(replica, 0, full)
        full = replica if full is None else full
    return Home(min(costs, key=costs.__getitem__), 0, full)


def _mix(number: int) -> int:
    """A good spread of 64 bits (the finaliser of splitmix64)."""
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)
