"""Windows read from buckets: counts, rates, percentiles; no data is None and never 0."""

from datetime import UTC, datetime, timedelta

import pytest

from routing import windows
from routing.rollup import save_outcomes
from tests.routing.test_rollup import AT, outcome

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

START = windows.floor(datetime.fromtimestamp(AT, UTC))


def test_a_window_without_traffic_has_no_figures() -> None:
    empty = windows.figures(START, START + windows.WINDOW)
    assert (empty.total, empty.error_rate, empty.ttft_p95(), empty.e2e_p95()) == (0, None, None, None)


def test_the_p95_is_within_one_per_cent_of_the_nearest_rank() -> None:
    save_outcomes([outcome(str(index), ttft=index / 100) for index in range(1, 101)])
    found = windows.figures(START, START + windows.WINDOW).ttft_p95()
    assert found == pytest.approx(0.95, rel=0.01)


def test_failures_push_the_e2e_percentile_to_infinity() -> None:
    save_outcomes([outcome(str(index), result="truncated" if index < 6 else "ok") for index in range(100)])
    figures = windows.figures(START, START + windows.WINDOW)
    assert figures.e2e_p95() == float("inf")
    assert figures.error_rate == 0.06


def test_series_cut_the_time_into_windows() -> None:
    save_outcomes([outcome("a"), outcome("b", assigned_at=AT + 60)])
    until = START + timedelta(minutes=3)
    found = windows.series(windows.buckets(START, until), START, until)
    assert [window.total for window in found] == [1, 1, 0]


def test_only_the_named_engine_is_read() -> None:
    save_outcomes([outcome("a"), outcome("b", engine="hf-demo-b")])
    assert windows.figures(START, START + windows.WINDOW, engine="hf-demo-b").total == 1
