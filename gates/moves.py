"""What a table of states is made of: its moves, and the refusal of every other change. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Move(Generic[S]):
    """One allowed change of state. `when` completes the sentence "it goes there when …"."""

    before: S
    after: S
    when: str


class Forbidden(ValueError):
    """The table has no such change."""

    def __init__(self, what: str, before: StrEnum, after: StrEnum) -> None:
        super().__init__(f"A {what} that is {before} cannot become {after}.")


class Moves(Generic[S]):
    """`what` is the thing that moves, in one word."""

    def __init__(self, what: str, table: Iterable[Move[S]]) -> None:
        self._what = what
        self._pairs = frozenset((move.before, move.after) for move in table)

    def allowed(self, before: S, after: S) -> bool:
        return (before, after) in self._pairs

    def check(self, before: S, after: S) -> None:
        """Raises Forbidden."""
        if not self.allowed(before, after):
            raise Forbidden(self._what, before, after)


def grouped(
    table: Iterable[Move[S]], group: Iterable[S], shared: Iterable[S], *, label: str, first: str, ends: Iterable[S]
) -> str:
    """A Mermaid state diagram; the moves to `shared` that every state of `group` has are drawn once."""
    moves, inside, common = tuple(table), frozenset(group), frozenset(shared)
    once = {move.after: move.when for move in moves if move.before in inside and move.after in common}
    inner = [move for move in moves if move.before in inside and move.after in inside and move.after not in common]
    outer = [move for move in moves if move not in inner and not (move.before in inside and move.after in common)]
    lines = ["stateDiagram-v2", f"    [*] --> {first}", f'    state "{label}" as grouped {{']
    lines += [f"        {move.before} --> {move.after}: {move.when}" for move in inner]
    lines += ["    }"]
    lines += [f"    grouped --> {after}: {when}" for after, when in once.items()]
    lines += [f"    {move.before} --> {move.after}: {move.when}" for move in outer]
    lines += [f"    {state} --> [*]" for state in sorted(ends)]
    return "\n".join(lines)
