"""The decision as a function of values: what raises, what pauses, what takes the canary back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.detectors.bank import Alarm
from gates.detectors.events import Objective
from gates.release_decisions import decide
from gates.release_policy import STANDARD, InvalidReleasePolicy, ReleasePolicy, Shadow, Stage, check, from_json, to_json
from gates.release_view import Act, Gate, View
from gates.releases import WALKING, Cause, Pause, State, allowed

AUTO = replace(STANDARD, name="auto", auto_promote=True)
BAKING = View(
    state=State.BAKING, stage=10, target=10, gate=Gate.PASSED, weight=10, acknowledged=True, lease_age=1.0,
    in_stage=700, samples=200, in_state=700,
)  # fmt: skip


def baking(**changes: Any) -> View:
    return replace(BAKING, **changes)


def after(view: View, policy: ReleasePolicy = STANDARD) -> State | None:
    step = decide(view, policy)
    return step.after if step else None


def test_a_bake_needs_its_dwell_and_its_samples() -> None:
    assert after(baking(in_stage=599)) is None
    assert after(baking(samples=129)) is None
    assert after(baking()) is State.APPROVED
    assert after(baking(stage=50, target=50, weight=50, samples=600, in_stage=901)) is State.AWAITING_APPROVAL


def test_without_any_person_thin_or_waived_evidence_is_not_enough() -> None:
    gating = View(state=State.GATING, gate=Gate.PASSED, gate_words="Passed.")
    assert after(gating, AUTO) is State.APPROVED
    assert after(replace(gating, weak=True), AUTO) is State.HELD
    assert after(replace(gating, waived=True), AUTO) is State.HELD
    assert after(baking(weak=True), AUTO) is State.AWAITING_APPROVAL
    assert after(replace(gating, weak=True)) is State.AWAITING_APPROVAL


@pytest.mark.parametrize("state", sorted(WALKING))
@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"alarm": (Alarm.BLAME, Objective.ERRORS)}, Cause.BLAME),
        ({"alarm": (Alarm.PROTECT, Objective.E2E)}, Cause.PROTECT),
        ({"alarm": (Alarm.DRIFT, Objective.TTFT)}, Cause.PROTECT),
        ({"tripped": "5 failures in a row"}, Cause.OUTAGE),
        ({"candidate_out": 2}, Cause.UNHEALTHY),
        ({"lease_age": 60.0}, Cause.LEASE),
        ({"blind_for": 300.0}, Cause.BLIND),
        ({"ours": False, "weight": 0}, Cause.BY_HAND),
    ],
)
def test_in_every_state_that_holds_weight_the_canary_goes(state: State, changes: dict[str, Any], cause: Cause) -> None:
    step = decide(baking(state=state, pause=Pause.MANUAL, resume_to=State.BAKING, **changes), STANDARD)
    assert step is not None
    assert (step.after, step.act, step.cause) == (State.ROLLING_BACK, Act.ZERO, cause)


@pytest.mark.parametrize(
    ("changes", "pause"),
    [
        ({"idle_for": 600.0}, Pause.NO_TRAFFIC),
        ({"blind": 5}, Pause.BLIND),
        ({"alarm": (Alarm.RATIO, None)}, Pause.SRM),
        ({"ours": False}, Pause.OVERRIDE),
        ({"samples": 3, "in_stage": 600 + 3600}, Pause.INCONCLUSIVE),
    ],
)
def test_what_only_stops_the_walk(changes: dict[str, Any], pause: Pause) -> None:
    step = decide(baking(**changes), STANDARD)
    assert step is not None
    assert (step.after, step.pause) == (State.PAUSED, pause)


def test_a_shift_is_over_when_the_share_is_seen_and_goes_back_when_it_never_is() -> None:
    shifting = baking(state=State.SHIFTING, stage=0, target=10, in_state=5)
    assert after(replace(shifting, assigned=19, on_canary=2)) is None
    assert after(replace(shifting, assigned=200, on_canary=20)) is State.BAKING
    assert after(replace(shifting, assigned=200, on_canary=0)) is None
    assert after(replace(shifting, assigned=200, on_canary=20, acknowledged=False)) is None
    assert after(replace(shifting, assigned=200, on_canary=0, in_state=600)) is State.ROLLING_BACK


def test_only_a_pause_for_want_of_data_ends_by_itself() -> None:
    for pause in Pause:
        paused = baking(state=State.PAUSED, pause=pause, resume_to=State.BAKING)
        expected = State.BAKING if pause in {Pause.NO_TRAFFIC, Pause.BLIND} else None
        assert after(paused) is expected


def test_a_roll_back_is_over_when_nobody_reaches_the_canary_and_its_streams_ended() -> None:
    back = baking(state=State.ROLLING_BACK, weight=0, reached=0, clear_polls=3, cause=Cause.ABORT, in_state=10)
    assert after(back) is State.ABORTED
    assert after(replace(back, cause=Cause.BLAME)) is State.ROLLED_BACK
    assert after(replace(back, clear_polls=2)) is None
    assert after(replace(back, reached=None)) is None
    assert after(replace(back, acknowledged=False)) is None
    assert after(replace(back, streams_open=1)) is None
    assert after(replace(back, streams_open=1, in_state=66)) is State.ABORTED
    again = decide(replace(back, weight=10), STANDARD)
    assert again is not None
    assert again.act is Act.ZERO


VIEWS = st.builds(
    View,
    state=st.sampled_from(sorted(State)),
    stage=st.sampled_from((0, 10, 50, 100)),
    target=st.sampled_from((0, 10, 50, 100)),
    pause=st.none() | st.sampled_from(sorted(Pause)),
    resume_to=st.none() | st.sampled_from((State.BAKING, State.SHIFTING, State.APPROVED)),
    cause=st.none() | st.sampled_from(sorted(Cause)),
    in_state=st.floats(0, 1e5),
    in_stage=st.floats(0, 1e5),
    gate=st.sampled_from(sorted(Gate)),
    gate_words=st.just("Gate run 1."),
    weak=st.booleans(),
    waived=st.booleans(),
    drift=st.sampled_from(("", "something changed")),
    approval_expired=st.booleans(),
    weight=st.sampled_from((0, 10, 50, 100)),
    ours=st.booleans(),
    acknowledged=st.booleans(),
    blind=st.integers(0, 9),
    blind_for=st.floats(0, 1000),
    idle_for=st.floats(0, 5000),
    assigned=st.integers(0, 500),
    on_canary=st.integers(0, 500),
    samples=st.integers(0, 2000),
    reached=st.none() | st.integers(0, 3),
    clear_polls=st.integers(0, 5),
)


@given(VIEWS, st.sampled_from((STANDARD, AUTO)))
def test_every_decision_is_in_the_table_and_only_an_approved_one_raises(view: View, policy: ReleasePolicy) -> None:
    step = decide(view, policy)
    if step is None:
        return
    same = view.state is State.ROLLING_BACK and step.act is Act.ZERO
    assert same or allowed(view.state, step.after)
    assert step.act is not Act.SHIFT or view.state is State.APPROVED
    assert step.reason


def test_a_policy_is_checked_and_survives_json() -> None:
    assert from_json(to_json(STANDARD)) == STANDARD
    for broken in (
        replace(STANDARD, stages=()),
        replace(STANDARD, stages=(Stage(weight=10, dwell_seconds=1, min_samples=1),)),
        replace(STANDARD, blind_seconds=0),
        replace(STANDARD, shadow=Shadow()),  # there is no such stage yet
        replace(STANDARD, detectors=replace(STANDARD.detectors, srm=2)),
    ):
        with pytest.raises(InvalidReleasePolicy):
            check(broken)
