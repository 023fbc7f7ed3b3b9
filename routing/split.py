"""Sticky weighted split: which member of a route a key belongs to. Pure.

Canaries own a prefix of the buckets that grows with their weight, so more weight only adds keys. What is
left is shared by the other members with a second, independent draw of the same hash: a canary's growth never
moves a key from one of them to another.
"""

import hashlib
from collections.abc import Sequence

from routing.table import Member, Role

BUCKETS = 10_000
BUCKETS_PER_CENT = BUCKETS // 100


def draw(salt: str, key: str) -> tuple[int, int]:
    """(bucket, second draw), each in 0..BUCKETS-1, always the same for one salt and key."""
    digest = hashlib.blake2b(f"{salt}:{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    return number % BUCKETS, number // BUCKETS % BUCKETS


def assign(members: Sequence[Member], bucket: int, second: int) -> Member | None:
    """The member that the weights give this key to, None where no weight covers it."""
    weighted = [member for member in members if member.role is Role.SPLIT and member.weight > 0]
    end = 0
    for member in sorted((m for m in weighted if m.canary), key=_name):
        end += member.weight * BUCKETS_PER_CENT
        if bucket < end:
            return member
    rest = [member for member in weighted if not member.canary]
    if len(rest) == 1:
        return rest[0]
    return _share(sorted(rest, key=_name), second)


def _share(members: Sequence[Member], second: int) -> Member | None:
    total = sum(member.weight for member in members)
    end = 0
    for member in members:
        end += member.weight
        if second * total < end * BUCKETS:
            return member
    return None


def _name(member: Member) -> str:
    return member.engine
