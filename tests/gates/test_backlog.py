"""A full cap of requests in flight: invalid as ever, but the reason says whether the engine or the generator did it."""

from dataclasses import replace

from gates.load.health import LAG_P99
from gates.load.samples import Sample, SampleOutcome
from gates.policy import OpenLoop
from gates.verdict import Verdict
from tests.gates.judging import SPIKE_ONLY, end, healthy, judged, open_loop, sample

POLICY = replace(SPIKE_ONLY, spike=OpenLoop(rate=5, seconds=100), in_flight_cap=256)
PLANNED = 500
HELD = replace(healthy("spike"), not_sent=44, achieved_ratio=0.91, breaches=("44 requests were not sent.",))
END = end("spike", PLANNED, seconds=100.0)


def unsent(index: int) -> Sample:
    return sample(
        index, sent_ns=None, first_token_ns=None, end_ns=None, outcome=SampleOutcome.NOT_SENT, output_tokens=None
    )


def silent(index: int) -> Sample:
    """Headers came, then nothing, until its own time limit of 120 s."""
    return sample(index, first_token_ns=None, e2e=120.0, outcome=SampleOutcome.TIMEOUT, status_code=200)


def hang(healthy_until: int = 200) -> list[Sample]:
    """Answers, then none at all: after 256 unanswered ones the rest is kept back."""
    full = healthy_until + POLICY.in_flight_cap
    return [
        *open_loop("spike", healthy_until),
        *(silent(index) for index in range(healthy_until, full)),
        *(unsent(index) for index in range(full, PLANNED)),
    ]


def overload() -> list[Sample]:
    """Five come each second, one is answered: 256 are in flight with the 320th."""
    answered = [sample(index, ttft=0.5 + index * 0.8, e2e=0.5 + index * 0.8) for index in range(320)]
    return [*answered, *(unsent(index) for index in range(320, PLANNED))]


def test_a_hang_that_fills_the_cap_is_invalid_and_the_reason_names_the_engine() -> None:
    run = judged(hang(), POLICY, generator=[HELD], phases=[END])
    assert run.verdict == Verdict.INVALID
    assert {entry.verdict for entry in run.findings} == {Verdict.INVALID}
    for words in (
        "SPIKE: the evidence is unusable, by no fault of the load generator: the engine stopped answering",
        "The oldest of 256 unanswered requests had waited 51 s",
        "44 requests were not sent",
        "Raise the cap",
        "run a failover gate",
    ):
        assert words in run.reason
    assert "no fault of the engine" not in run.reason
    assert len(run.reason) < 500  # the run's row cuts longer ones


def test_a_slow_engine_is_not_said_to_have_stopped() -> None:
    run = judged(overload(), POLICY, generator=[HELD], phases=[END])
    assert run.verdict == Verdict.INVALID
    assert "the engine answered more slowly than requests arrived" in run.reason
    assert "failover" not in run.reason


def test_a_generator_that_was_unfit_as_well_is_not_excused() -> None:
    late = replace(HELD, lag_p99=2 * LAG_P99, breaches=("Requests left late.",))
    run = judged(hang(), POLICY, generator=[late], phases=[END])
    assert "by no fault of the engine. Requests left late." in run.reason


def test_requests_kept_back_while_few_were_in_flight_are_no_fault_of_the_engine() -> None:
    kept_back = [*open_loop("spike", PLANNED - 1), unsent(PLANNED - 1)]
    assert "by no fault of the engine" in judged(kept_back, POLICY, generator=[HELD], phases=[END]).reason
