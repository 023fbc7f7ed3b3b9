"""All detectors together: what an outcome says, restarts, and which alarm is raised for which trouble."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.detectors import settings as detector_settings
from gates.detectors.bank import Alarm, Bank
from gates.detectors.events import Event, Objective, event_of
from gates.detectors.settings import DetectorSettings, InvalidDetectors
from routing.outcomes import Result

BODY = {
    "request_id": "r1", "assigned_at": 100.0, "result": "ok", "first_attempt": "ok", "stream": True,
    "ttft_late": False, "e2e_late": False, "canary": True, "sticky_bucket": 17, "sticky_unit": "session",
}  # fmt: skip


def outcome(**changes: Any) -> dict[str, Any]:
    return {**BODY, **changes}


def event(at: float, *, canary: bool, bad: bool, share: float = 0.1) -> Event:
    marks = dict.fromkeys(Objective, bad)
    return Event(assigned_at=at, canary=canary, share=share, unit=f"u{at}", bucket=0, bad=marks)


def traffic(n: int, *, share: float, canary_bad: float, baseline_bad: float, seed: int, start: int = 0) -> list[Event]:
    dice = random.Random(seed)
    found = []
    for at in range(start, start + n):
        canary = dice.random() < share
        bad = dice.random() < (canary_bad if canary else baseline_bad)
        found.append(event(at / 2, canary=canary, bad=bad, share=share))
    return found


def fed(events: list[Event]) -> Bank:
    bank = Bank()
    for one in events:
        bank.see(one)
    return bank


def test_an_answer_that_another_engine_gave_after_the_canary_failed_is_the_canarys_error() -> None:
    found = event_of(outcome(first_attempt="reset"), 0.1)
    assert found is not None
    assert found.bad[Objective.ERRORS] is True


@pytest.mark.parametrize("result", ["cancelled", "bad_request", "rejected"])
def test_what_the_caller_did_says_nothing_unless_it_was_late_already(result: str) -> None:
    assert event_of(outcome(result=result, first_attempt=result), 0.1) is None
    late = event_of(outcome(result=result, first_attempt=result, ttft_late=True), 0.1)
    assert late is not None
    assert (late.bad[Objective.TTFT], late.bad[Objective.ERRORS]) == (True, False)


def test_a_request_that_is_still_undecided_at_its_limit_is_late_and_no_error() -> None:
    found = event_of(outcome(result=Result.UNDECIDED, first_attempt=None, e2e_late=True, ttft_late=True), 0.1)
    assert found is not None
    assert found.bad == {Objective.ERRORS: False, Objective.E2E: True, Objective.TTFT: True}


def test_an_answer_in_one_piece_has_no_ttft_to_judge() -> None:
    found = event_of(outcome(stream=False), 0.1)
    assert found is not None
    assert Objective.TTFT not in found.bad


def test_a_conversation_is_blamed_once_and_a_request_of_its_own_each_time() -> None:
    session = event_of(outcome(result="reset", first_attempt="reset"), 0.1)
    assert session is not None
    bank = fed([session] * 20)
    assert bank.alarm() is None
    assert bank.counts[Objective.ERRORS].canary_bad == 20
    alone = [outcome(result="reset", first_attempt="reset", sticky_unit="request", request_id=str(n)) for n in range(9)]
    events = [found for body in alone if (found := event_of(body, 0.1)) is not None]
    assert fed(events).alarm() == (Alarm.BLAME, Objective.ERRORS)


def test_a_canary_that_is_half_bad_is_blamed() -> None:
    bank = fed(traffic(400, share=0.1, canary_bad=0.5, baseline_bad=0.002, seed=1))
    assert bank.alarm() == (Alarm.BLAME, Objective.ERRORS)


def test_a_shared_outage_protects_users_without_blaming_the_canary() -> None:
    bank = fed(traffic(3000, share=0.1, canary_bad=0.5, baseline_bad=0.5, seed=2))
    assert bank.alarm() is not None
    assert bank.alarm()[0] is Alarm.PROTECT  # type: ignore[index]


def test_a_split_that_is_not_what_was_asked_for_is_noticed() -> None:
    skewed = [event(n, canary=n % 4 == 0, bad=False) for n in range(400)]
    assert fed(skewed).alarm() == (Alarm.RATIO, None)


def test_healthy_traffic_through_both_stages_raises_nothing() -> None:
    events = traffic(1200, share=0.1, canary_bad=0.002, baseline_bad=0.002, seed=3)
    events += traffic(1800, share=0.5, canary_bad=0.002, baseline_bad=0.002, seed=4, start=1200)
    assert fed(events).alarm() is None


@given(st.integers(0, 200), st.integers(0, 1000))
def test_a_bank_that_is_fed_again_from_the_start_is_the_same_to_the_last_bit(cut: int, seed: int) -> None:
    events = traffic(200, share=0.5, canary_bad=0.2, baseline_bad=0.1, seed=seed)
    once, again = Bank(), fed(events[:cut])
    for one in events:
        once.see(one)
    for one in events[cut:]:
        again.see(one)
    assert once.summary() == again.summary()
    assert once == again


def test_the_budget_of_a_release_is_one_per_cent_and_settings_are_checked() -> None:
    assert DetectorSettings().budget == pytest.approx(0.01)
    assert detector_settings.from_json(detector_settings.to_json(DetectorSettings())) == DetectorSettings()
    with pytest.raises(InvalidDetectors, match="at most 5 %"):
        detector_settings.check(DetectorSettings(blame_errors=0.06))
    with pytest.raises(InvalidDetectors, match="block_seconds"):
        detector_settings.check(DetectorSettings(block_seconds=0))
