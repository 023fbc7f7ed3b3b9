"""The arithmetic of a canary's weight: what the other members keep, and which changes raise somebody. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from routing.table import Member, Role


def with_canary(before: Sequence[Member], canary: str, weight: int) -> list[Member]:
    """`before` with `canary` at `weight` per cent; the other weights keep their proportions and all sum to 100.

    At 100 the others become standby: they take over when the canary cannot answer. `before` must hold weight outside
    the canary, else there is nobody to share with: ValueError.
    """
    others = [member for member in before if member.role is Role.SPLIT and member.engine != canary]
    total = sum(member.weight for member in others)
    if total <= 0:
        raise ValueError(f"No engine but {canary} has weight in this route.")
    kept = dict(zip((member.engine for member in others), _shares(others, total, 100 - weight), strict=True))
    placed = [_placed(member, kept, weight) for member in before if member.engine != canary]
    return [*placed, Member(canary, Role.SPLIT, weight, canary=True)]


def has_weight_beside(members: Sequence[Member], canary: str) -> bool:
    return any(member.weight for member in members if member.engine != canary)


def without_canary(members: Sequence[Member], canary: str) -> list[Member]:
    """Of a split whose canary has everything: the canary is the baseline now, its mark is gone."""
    return [replace(member, canary=False) if member.engine == canary else member for member in members]


def weight_of(members: Sequence[Member], engine: str) -> int:
    return next((member.weight for member in members if member.engine == engine), 0)


def raised(before: Sequence[Member], after: Sequence[Member]) -> list[str]:
    """Engines that a release would have to bring up: canaries that gain weight, and others that had none."""
    had = {member.engine: member for member in before}
    found = []
    for member in after:
        old = had.get(member.engine)
        old_weight = old.weight if old else 0
        canary = member.canary or (old is not None and old.canary)
        if member.weight > old_weight and (canary or old_weight == 0):
            found.append(member.engine)
    return found


def _shares(others: Sequence[Member], total: int, left: int) -> list[int]:
    """Whole per cents in the proportions of the weights, by largest remainder."""
    exact = [member.weight * left / total for member in others]
    whole = [int(share) for share in exact]
    by_rest = sorted(range(len(others)), key=lambda i: (whole[i] - exact[i], others[i].engine))
    for i in by_rest[: left - sum(whole)]:
        whole[i] += 1
    return whole


def _placed(member: Member, kept: dict[str, int], weight: int) -> Member:
    if member.role is not Role.SPLIT:
        return member
    if weight == 100 and member.weight and not member.canary:
        return Member(member.engine, Role.STANDBY)
    return replace(member, weight=kept[member.engine])
