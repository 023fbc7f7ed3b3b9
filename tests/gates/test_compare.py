"""Two runs side by side, and a stored run under a draft policy."""

from dataclasses import replace

from gates.compare import Comparison, Row, Word, compare, what_if
from gates.load.samples import Sample
from gates.policy import Objectives
from gates.verdict import ObjectiveName, Verdict
from tests.gates.judging import POLICY, SPIKE_ONLY, end, judged, open_loop, sample, step

TTFT = ObjectiveName.TTFT_P95


def spread(base: float) -> list[Sample]:
    return [sample(at, ttft=base + at * 7 % 300 / 1000, e2e=base + 1.0) for at in range(300)]


def row(comparison: Comparison, objective: ObjectiveName) -> Row:
    return next(entry for entry in comparison.rows if entry.objective == objective)


def compared(first: list[Sample], second: list[Sample], **fields: bool) -> Comparison:
    return compare(judged(first, SPIKE_ONLY), first, judged(second, SPIKE_ONLY), second, **fields)


def test_a_slower_run_is_worse_and_the_other_way_round_better() -> None:
    slow, fast = spread(0.9), spread(0.4)
    assert row(compared(fast, slow), TTFT).word == Word.WORSE
    assert row(compared(slow, fast), TTFT).word == Word.BETTER
    assert round(row(compared(fast, slow), TTFT).delta or 0, 6) == 0.5


def test_what_the_samples_cannot_tell_apart_is_the_same() -> None:
    assert row(compared(spread(0.4), spread(0.401)), TTFT).word == Word.SAME
    one = open_loop("spike", 300, broken=(7,))
    assert row(compared(spread(0.4), one), ObjectiveName.ERROR_RATE).word == Word.SAME


def test_runs_of_different_plans_are_compared_only_on_request_and_say_what_differs() -> None:
    a, b = spread(0.4), spread(0.9)
    first, second = judged(a, SPIKE_ONLY), replace(judged(b, SPIKE_ONLY), plan_digest="q" * 64)
    refused = compare(first, a, second, b)
    assert refused.differences == ("The plans differ: pppppppppppp and qqqqqqqqqqqq.",)
    assert {entry.word for entry in refused.rows} == {Word.NOT_COMPARABLE}
    asked = compare(first, a, second, b, override=True)
    assert (row(asked, TTFT).word, asked.overridden) == (Word.WORSE, True)


def test_a_phase_that_was_stopped_cannot_be_compared() -> None:
    whole, cut = spread(0.4), open_loop("spike", 20, broken=(1, 2))
    stopped = judged(cut, SPIKE_ONLY, phases=[end("spike", 300, complete=False, curtailed="error_rate")])
    found = compare(judged(whole, SPIKE_ONLY), whole, stopped, cut)
    assert found.differences == ("SPIKE: 300 requests and not run to its end.",)
    assert row(found, TTFT).delta is None


def test_every_objective_of_two_whole_runs_has_a_row() -> None:
    samples = step() + open_loop("spike", 300) + open_loop("soak", 3600)
    run = judged(samples, POLICY)
    found = compare(run, samples, run, samples)
    assert len(found.rows) == len(run.findings)
    assert {entry.word for entry in found.rows} == {Word.SAME}


def test_what_if_judges_again_and_leaves_the_run_alone() -> None:
    samples = open_loop("spike", 300, slow=range(20))
    run = judged(samples, SPIKE_ONLY)
    draft = replace(SPIKE_ONLY, name="lax", objectives=Objectives(ttft_p95=9.0))
    again = what_if(run, samples, SPIKE_ONLY, draft)
    assert (run.verdict, again.verdict) == (Verdict.FAILED, Verdict.PASSED)


def test_what_if_cannot_decide_a_phase_that_was_stopped_for_the_old_limit() -> None:
    samples = open_loop("spike", 20, broken=(1, 2))
    stopped = end("spike", 300, complete=False, curtailed="error_rate")
    run = judged(samples, SPIKE_ONLY, phases=[stopped])
    draft = replace(SPIKE_ONLY, objectives=Objectives(error_rate=0.1))
    assert what_if(run, samples, SPIKE_ONLY, draft).verdict == Verdict.INCONCLUSIVE
