"""What every table of states has to keep: the tests of runs and of releases ask it of theirs."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gates.moves import Forbidden, Move

DOCS = Path(__file__).parent.parent.parent / "docs"


def assert_only_named_changes_are_allowed(states: Iterable[Any], module: Any) -> None:
    """`module` has TABLE, `allowed` and `check`."""
    table, pairs = module.TABLE, product(tuple(states), repeat=2)
    named = {(move.before, move.after) for move in table}
    assert len(named) == len(table), "a change is named twice"
    for before, after in pairs:
        assert module.allowed(before, after) == ((before, after) in named)
        if (before, after) not in named:
            with pytest.raises(Forbidden):
                module.check(before, after)


def reachable(state: Any, table: Sequence[Move[Any]]) -> set[Any]:
    reached, frontier = {state}, {state}
    while frontier:
        frontier = {move.after for move in table if move.before in frontier} - reached
        reached |= frontier
    return reached


def assert_documented(page: str, diagram: str) -> None:
    shown = (DOCS / page).read_text().split("<!-- states -->")[1].split("<!-- /states -->")[0].strip()
    assert shown == f"```mermaid\n{diagram}\n```", f"put the output of diagram() between the markers of {page}"
