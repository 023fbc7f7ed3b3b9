"""The state table, and the diagram of it in the documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import runs
from gates.runs import ACTIVE, LOADING, OVER, RESUMABLE, TABLE, VERDICTS, State, allowed
from tests.gates.tables import assert_documented, assert_only_named_changes_are_allowed, reachable


def test_every_pair_of_states_is_allowed_exactly_when_the_table_names_it() -> None:
    assert_only_named_changes_are_allowed(State, runs)


def test_nothing_leaves_a_verdict_but_a_resumed_error() -> None:
    assert {move.before for move in TABLE if move.before in VERDICTS} == {State.ERRORED}
    assert {move.after for move in TABLE if move.before in RESUMABLE} == {State.QUEUED, State.CANCELLED}


def test_only_judging_leads_to_a_verdict_on_the_engine() -> None:
    on_the_engine = {State.PASSED, State.FAILED, State.INCONCLUSIVE}
    assert {move.before for move in TABLE if move.after in on_the_engine} == {State.JUDGING}


@pytest.mark.parametrize("state", sorted(LOADING))
def test_every_state_with_load_can_be_cancelled_interrupted_and_break(state: State) -> None:
    assert all(allowed(state, after) for after in (State.CANCELLING, State.INTERRUPTED, State.ERRORED))


@given(st.sampled_from(sorted(State)))
def test_from_every_state_a_run_can_come_to_rest(state: State) -> None:
    assert reachable(state, TABLE) & OVER


def test_a_process_that_dies_while_cancelling_leaves_a_cancelled_run() -> None:
    assert runs.after_death(cancel_requested=True) is State.CANCELLED
    assert runs.after_death(cancel_requested=False) is State.INTERRUPTED
    assert State.CANCELLING in ACTIVE


def test_the_documentation_shows_the_table_as_it_is() -> None:
    assert_documented("gates.md", runs.diagram())
