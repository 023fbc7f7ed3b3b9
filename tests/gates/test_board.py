"""The live figures: rates per second, latencies over the last ten, and how it stands so far."""

from gates.board import Board
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Objectives

SECOND = 1_000_000_000


def sample(index: int, *, outcome: SampleOutcome = SampleOutcome.OK, seconds: float = 1.0) -> Sample:
    end = int(seconds * SECOND)
    return Sample(
        index=index, phase="spike", level=None, attempt=1, intended_ns=0, sent_ns=0, first_token_ns=end // 2,
        end_ns=end, last_token_ns=end, output_tokens=6, outcome=outcome,
    )  # fmt: skip


def test_a_board_without_a_phase_states_no_rates() -> None:
    point = Board(Objectives()).point(now=1.0)
    assert [point[name] for name in ("offered", "served", "ttft_p95", "verdict_so_far")] == [None] * 4


def test_a_point_counts_what_happened_since_the_last_one() -> None:
    board = Board(Objectives())
    progress = board.begin(now=0.0)
    progress.phase, progress.offered, progress.in_flight = "spike", 10, 4
    board.take([sample(index) for index in range(6)], now=1.5)
    first = board.point(now=2.0)
    assert [first[name] for name in ("offered", "served", "in_flight")] == [5.0, 3.0, 4]
    assert [first[name] for name in ("ttft_p95", "e2e_p50", "tpot_p50")] == [0.5, 1.0, 0.1]
    second = board.point(now=3.0)
    assert (second["offered"], second["served"], second["e2e_p50"]) == (0.0, 0.0, 1.0)
    assert board.point(now=20.0)["e2e_p50"] is None


def test_failures_are_named_and_turn_the_standing() -> None:
    board = Board(Objectives())
    board.begin(now=0.0).phase = "spike"
    board.take([sample(index) for index in range(20)], now=1.0)
    assert board.point(now=1.0)["verdict_so_far"] == "passing"
    board.take([sample(20, outcome=SampleOutcome.TIMEOUT), sample(21, outcome=SampleOutcome.CANCELLED_BY_US)], now=2.0)
    point = board.point(now=2.0)
    assert (point["errors"], point["verdict_so_far"]) == ({"timeout": 1}, "failing on error_rate")
