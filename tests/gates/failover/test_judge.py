"""From samples to what clients saw."""

from dataclasses import replace

from gates.failover.judge import Pair, judge
from gates.failover.scenarios import Sample, Scenario, Seen, Span
from gates.verdict import Verdict

PAIR = Pair(engine="a", stand_in="failover-1-a", other="b", ttft_limit=7.0, e2e_limit=20.0)
STOP = Span(scenario=Scenario.STOP, began=4.0, healed=12.0, ended=20.0, out_at=5.0, back_at=18.0)


def sample(sent: float, *, engine: str = "failover-1-a", seconds: float = 0.2, seen: Seen = Seen.OK) -> Sample:
    return Sample(
        index=int(sent * 2), streamed=True, sent=sent, ended=sent + seconds, seen=seen, status=200, ttft=0.1,
        engine=engine, attempts=1,
    )  # fmt: skip


def calm() -> list[Sample]:
    return [sample(number / 2) for number in range(7)]


def by_other() -> list[Sample]:
    return [sample(4 + number / 2, engine="b") for number in range(16)]


def test_a_takeover_that_nobody_noticed_passes() -> None:
    found = judge([*calm(), *by_other()], [STOP], PAIR)
    assert found.verdict is Verdict.PASSED
    finding = found.findings[0]
    assert (finding.requests, finding.ok, finding.by_other, finding.outage) == (16, 16, 16, None)
    assert (finding.out, finding.back) == (1.0, 6.0)
    assert "No client saw an error." in finding.words


def test_a_failed_request_after_the_fault_fails_and_the_outage_is_timed() -> None:
    answers = by_other()
    answers[0] = replace(answers[0], seen=Seen.HTTP_ERROR, status=502, engine="")
    found = judge([*calm(), *answers], [STOP], PAIR)
    assert found.verdict is Verdict.FAILED
    assert found.findings[0].failed == {"http_error": 1}
    assert found.findings[0].outage is not None
    assert abs(found.findings[0].outage - 0.5) < 1e-9


def test_a_stream_that_had_begun_is_named_but_not_held_against_it() -> None:
    begun = sample(3.9, seconds=1.0, seen=Seen.ERROR_EVENT)
    found = judge([*calm(), begun, *by_other()], [STOP], PAIR)
    assert (found.verdict, found.findings[0].interrupted) == (Verdict.PASSED, 1)
    assert "never repeated" in found.findings[0].words


def test_retries_are_counted_from_the_gateways_own_record_or_left_unknown() -> None:
    again = [replace(one, attempts=2) for one in by_other()]
    assert judge([*calm(), *again], [STOP], PAIR).findings[0].retried == 16
    unknown = [replace(one, attempts=None) for one in by_other()]
    assert judge([*calm(), *unknown], [STOP], PAIR).findings[0].retried is None


def test_an_answer_later_than_the_objectives_fails() -> None:
    late = replace(by_other()[0], ttft=7.5)
    found = judge([*calm(), late, *by_other()[1:]], [STOP], PAIR)
    assert (found.verdict, found.findings[0].late) == (Verdict.FAILED, 1)


def test_an_engine_that_does_not_come_back_fails() -> None:
    found = judge([*calm(), *by_other()], [replace(STOP, back_at=None, recovered=False)], PAIR)
    assert found.verdict is Verdict.FAILED
    assert "did not answer again within 8 s" in found.findings[0].words


def test_a_failure_after_the_fault_counts() -> None:
    found = judge([*calm(), *by_other(), sample(13, seen=Seen.CUT)], [STOP], PAIR)
    assert (found.verdict, found.findings[0].failed_after) == (Verdict.FAILED, 1)


def test_too_few_requests_prove_nothing() -> None:
    assert judge([*calm(), *by_other()[:3]], [STOP], PAIR).verdict is Verdict.INCONCLUSIVE


def test_without_a_calm_before_the_fault_nothing_is_judged() -> None:
    assert judge(by_other(), [STOP], PAIR).verdict is Verdict.INVALID
    other = [sample(1.0, engine="b"), *by_other()]
    assert judge(other, [STOP], PAIR).verdict is Verdict.INVALID
    assert judge(calm(), [], PAIR).verdict is Verdict.INVALID


def test_the_worst_scenario_decides_and_is_named() -> None:
    hang = Span(scenario=Scenario.HANG, began=24.0, healed=32.0, ended=40.0)
    later = [replace(one, sent=one.sent + 20, ended=one.ended + 20, seen=Seen.TIMEOUT) for one in by_other()]
    found = judge([*calm(), *by_other(), *later], [STOP, hang], PAIR)
    assert found.verdict is Verdict.FAILED
    assert found.reason.endswith(": hang.")
