"""The state table of releases, and the diagram of it in the documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import releases
from gates.releases import ENDS, TABLE, TERMINAL, WALKING, Cause, State, allowed
from tests.gates.tables import assert_documented, assert_only_named_changes_are_allowed, reachable


def test_every_pair_of_states_is_allowed_exactly_when_the_table_names_it() -> None:
    assert_only_named_changes_are_allowed(State, releases)


def test_nothing_leaves_a_state_that_is_over() -> None:
    assert not {move.before for move in TABLE} & TERMINAL


@pytest.mark.parametrize("state", sorted(WALKING))
def test_every_state_that_may_hold_weight_can_roll_back(state: State) -> None:
    assert allowed(state, State.ROLLING_BACK)


def test_a_roll_back_leads_to_the_end_of_its_cause_and_nowhere_else() -> None:
    ends = {releases.end_of(cause) for cause in Cause}
    assert {move.after for move in TABLE if move.before is State.ROLLING_BACK} == ends
    assert releases.end_of(Cause.BLAME) is State.ROLLED_BACK
    assert set(ENDS.values()) < TERMINAL


def test_traffic_is_raised_only_out_of_approved() -> None:
    assert {move.before for move in TABLE if move.after is State.SHIFTING} == {State.APPROVED, State.PAUSED}


@given(st.sampled_from(sorted(State)))
def test_from_every_state_a_release_can_come_to_its_end(state: State) -> None:
    assert reachable(state, TABLE) & TERMINAL


def test_the_documentation_shows_the_table_as_it_is() -> None:
    assert_documented("releases.md", releases.diagram())
