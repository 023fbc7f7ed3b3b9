"""The literal verdict of whole runs, in words, and what can never pass."""

import json
from dataclasses import replace

import pytest

from gates.judge import from_json, to_json
from gates.load.samples import SampleOutcome
from gates.policy import OpenLoop, Policy, Step
from gates.verdict import Grade, ObjectiveName, Verdict
from tests.gates.judging import (
    POLICY,
    SECOND,
    SOAK_ONLY,
    SPIKE_ONLY,
    end,
    ends,
    failed,
    finding,
    healthy,
    judged,
    open_loop,
    sample,
    shuffled,
    step,
)

TTFT, ERRORS, QPS, WINDOWS = (
    ObjectiveName.TTFT_P95,
    ObjectiveName.ERROR_RATE,
    ObjectiveName.QPS,
    ObjectiveName.WINDOWS_MET,
)
STEP_ONLY = replace(POLICY, spike=None, soak=None)


def test_a_good_run_passes_on_every_objective() -> None:
    run = judged(step() + open_loop("spike", 300) + open_loop("soak", 3600), POLICY)
    assert run.verdict == Verdict.PASSED
    assert run.reason.startswith("All 14 objectives hold.")
    assert {entry.verdict for entry in run.findings} == {Verdict.PASSED}


@pytest.mark.parametrize(("slow", "verdict"), [(15, Verdict.PASSED), (16, Verdict.FAILED)])
def test_a_spike_may_have_fifteen_slow_requests(slow: int, verdict: Verdict) -> None:
    found = finding(judged(open_loop("spike", 300, slow=range(slow)), SPIKE_ONLY), "spike", TTFT)
    assert (found.verdict, found.exceedances, found.n) == (verdict, slow, 300)


def test_the_sentence_says_the_value_the_margin_and_what_would_change_it() -> None:
    found = finding(judged(open_loop("spike", 300, slow=range(20)), SPIKE_ONLY), "spike", TTFT)
    assert found.sentence == "SPIKE: P95 TTFT is 8 s, 1 s over the limit of 7 s; 20 of 300 over the limit, 15 allowed."
    assert found.what_would_change.startswith("5 fewer slow or failed requests would have passed.")
    assert found.margin == pytest.approx(-1 / 7)


def test_failures_are_infinitely_slow() -> None:
    run = judged(open_loop("spike", 300, broken=range(16)), SPIKE_ONLY)
    assert finding(run, "spike", TTFT).value is None
    assert finding(run, "spike", TTFT).verdict == Verdict.FAILED
    assert "infinite, over the limit of 7 s" in finding(run, "spike", TTFT).sentence


@pytest.mark.parametrize(("broken", "verdict"), [(17, Verdict.PASSED), (18, Verdict.FAILED)])
def test_the_error_rate_must_be_strictly_under_its_limit(broken: int, verdict: Verdict) -> None:
    run = judged(open_loop("soak", 3600, broken=range(0, broken * 200, 200)), SOAK_ONLY)
    assert finding(run, "soak", ERRORS).verdict == verdict


def test_latency_runs_from_the_intended_send() -> None:
    late = [replace(entry, sent_ns=entry.intended_ns + 7 * SECOND) for entry in open_loop("spike", 300, slow=range(20))]
    assert finding(judged(late, SPIKE_ONLY), "spike", TTFT).value == 8.0


def test_warm_up_other_attempts_and_our_own_cancels_do_not_count() -> None:
    extra = [failed(900 + at, warmup=True) for at in range(9)] + [failed(at, attempt=2) for at in range(9)]
    run = judged(open_loop("spike", 300) + extra, SPIKE_ONLY)
    assert finding(run, "spike", ERRORS).n == 300
    ours = [replace(entry, outcome=SampleOutcome.CANCELLED_BY_US) for entry in open_loop("spike", 300)[:5]]
    run = judged(ours + open_loop("spike", 300)[5:], SPIKE_ONLY)
    assert finding(run, "spike", ERRORS).n == 295


def test_step_errors_are_pooled_and_latency_is_judged_on_the_pool_and_at_the_top() -> None:
    top = [replace(entry, first_token_ns=entry.intended_ns + 8 * SECOND) for entry in step()[60:64]]
    run = judged(step()[:60] + top + step()[64:], STEP_ONLY)
    assert finding(run, "step", TTFT, "pool").verdict == Verdict.PASSED
    assert finding(run, "step", TTFT, "level 2").verdict == Verdict.FAILED
    assert finding(run, "step", ERRORS).scope == "pool"
    assert finding(run, "step", ERRORS).n == 120


def test_requests_that_span_two_levels_count_for_errors_but_not_for_level_figures() -> None:
    spanning = [replace(entry, transition=True, outcome=SampleOutcome.TIMEOUT) for entry in step()[60:62]]
    run = judged(step()[:60] + spanning + step()[62:], STEP_ONLY)
    assert finding(run, "step", ERRORS).exceedances == 2
    assert finding(run, "step", TTFT, "level 2").n == 58


def test_step_throughput_is_that_of_the_best_level() -> None:
    run = judged(step(), STEP_ONLY, phases=[end("step", 0, level_seconds=((1, 40.0), (2, 20.0)))])
    assert (finding(run, "step", QPS).scope, finding(run, "step", QPS).value) == ("level 2", 3.0)


def test_soak_throughput_counts_answers_by_their_arrival() -> None:
    run = judged(open_loop("soak", 3600, broken=range(361)), SOAK_ONLY)
    found = finding(run, "soak", QPS)
    assert (found.value, found.limit, found.verdict) == (3239 / 1800, 1.8, Verdict.FAILED)
    assert finding(judged(open_loop("soak", 3600, broken=range(360)), SOAK_ONLY), "soak", QPS).verdict == "passed"


def test_four_missed_windows_of_thirty_fail() -> None:
    slow = [window * 120 + at for window in range(4) for at in range(7)]
    run = judged(open_loop("soak", 3600, slow=slow), SOAK_ONLY)
    found = finding(run, "soak", WINDOWS)
    assert (found.value, found.exceedances, found.verdict) == (26 / 30, 4, Verdict.FAILED)
    assert judged(open_loop("soak", 3600, slow=slow[7:]), SOAK_ONLY).verdict == Verdict.PASSED


def test_a_soak_of_one_window_says_that_it_shows_no_steadiness() -> None:
    short = replace(SOAK_ONLY, soak=OpenLoop(rate=2, seconds=60))
    found = finding(judged(open_loop("soak", 120), short), "soak", WINDOWS)
    assert (found.verdict, found.grade, found.n) == (Verdict.PASSED, Grade.THIN, 1)
    assert "nothing about steadiness" in found.sentence


def test_windows_that_cannot_be_judged_leave_the_run_undecided() -> None:
    sparse = replace(SOAK_ONLY, soak=OpenLoop(rate=2, seconds=1800), window_minimum=121)
    run = judged(open_loop("soak", 3600), sparse)
    assert run.verdict == Verdict.INCONCLUSIVE
    assert "0 of 30 windows could be judged, 80 % needed" in run.reason


def test_no_data_is_never_a_pass() -> None:
    assert judged([], POLICY).verdict == Verdict.INVALID
    assert judged([], Policy(name="none", step=None, spike=None, soak=None)).verdict == Verdict.INVALID
    assert judged(open_loop("spike", 300), POLICY).verdict == Verdict.INCONCLUSIVE
    assert judged(open_loop("spike", 299), SPIKE_ONLY).verdict == Verdict.INCONCLUSIVE
    assert judged(open_loop("spike", 300), SPIKE_ONLY, phases=[]).verdict == Verdict.INVALID
    assert judged(step()[:60], STEP_ONLY).verdict == Verdict.INCONCLUSIVE


def test_a_phase_that_was_cut_off_decides_nothing() -> None:
    cut = [end("spike", 300, complete=False)]
    run = judged(open_loop("spike", 200, broken=range(50)), SPIKE_ONLY, phases=cut)
    assert {entry.verdict for entry in run.findings} == {Verdict.INCONCLUSIVE}


def test_a_breach_of_the_generator_makes_the_run_invalid_and_never_failed() -> None:
    bad = open_loop("spike", 300, slow=range(100))
    run = judged(bad, SPIKE_ONLY, generator=[healthy("spike", ("send lag P99 83 ms, 50 ms allowed",))])
    assert run.verdict == Verdict.INVALID
    assert "send lag P99 83 ms" in run.reason
    assert Verdict.FAILED not in {entry.verdict for entry in run.findings}


def test_requests_that_could_not_be_sent_and_an_unwatched_generator_are_breaches() -> None:
    unsent = [*open_loop("spike", 299), failed(299, outcome=SampleOutcome.NOT_SENT, sent_ns=None)]
    assert judged(unsent, SPIKE_ONLY).verdict == Verdict.INVALID
    assert judged(open_loop("spike", 300), SPIKE_ONLY, generator=[]).verdict == Verdict.INVALID


@pytest.mark.parametrize("ended", [Verdict.CANCELLED, Verdict.ERRORED])
def test_how_the_run_ended_wins_over_what_was_measured(ended: Verdict) -> None:
    run = judged(open_loop("spike", 300), SPIKE_ONLY, ended=ended, ended_reason="Cancelled by olga.")
    assert (run.verdict, run.reason) == (ended, "Cancelled by olga.")


def test_a_phase_left_out_after_a_failure_does_not_soften_the_verdict() -> None:
    lost = end("spike", 300, complete=False, curtailed="error_rate")
    run = judged(open_loop("spike", 2, broken=(0, 1)), POLICY, phases=[lost])
    assert run.verdict == Verdict.FAILED
    assert "2 already failed, 1 allowed in 300 planned" in run.reason


def test_the_same_samples_give_the_same_digest_bit_for_bit() -> None:
    samples = step() + open_loop("spike", 300, slow=(3, 4)) + open_loop("soak", 3600, broken=(7,))
    run = judged(samples, POLICY)
    again = judged(shuffled(samples), POLICY)
    assert (run.digest, run.samples_digest) == (again.digest, again.samples_digest)
    assert from_json(json.loads(json.dumps(to_json(run)))) == run


def test_the_digest_changes_with_samples_policy_and_plan_but_not_with_prose() -> None:
    samples = open_loop("spike", 300)
    run = judged(samples, SPIKE_ONLY)
    moved = [replace(samples[0], end_ns=samples[0].end_ns + 1), *samples[1:]]
    stricter = replace(SPIKE_ONLY, warm_up_requests=11)
    assert len({run.digest, judged(moved, SPIKE_ONLY).digest, judged(samples, stricter).digest}) == 3
    assert judged(samples, SPIKE_ONLY, ended=Verdict.CANCELLED, ended_reason="a").digest == (
        judged(samples, SPIKE_ONLY, ended=Verdict.CANCELLED, ended_reason="b").digest
    )


def test_a_step_policy_of_one_level_is_judged_there() -> None:
    single = replace(STEP_ONLY, step=Step(levels=(2,)))
    samples = [sample(at, "step", level=2, intended_ns=at * SECOND // 5) for at in range(60)]
    assert judged(samples, single, phases=[end("step", 0, level_seconds=((2, 20.0),))]).verdict == Verdict.PASSED
    assert ends(single)[0].phase == "step"
