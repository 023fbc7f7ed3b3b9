"""Drawings as data: gaps stay gaps."""

from datetime import UTC, datetime, timedelta

import pytest

from console.charts import series, spark
from routing.windows import Figures

START = datetime(2026, 11, 23, 13, 32, tzinfo=UTC)


def window(number: int, *, ok: int = 0, failed: int = 0, ttft: dict[str, int] | None = None) -> Figures:
    return Figures(start=START + timedelta(minutes=number), seconds=60, total=ok + failed, ok=ok, failed=failed,
                   ttft=ttft or {})  # fmt: skip


def test_a_window_without_requests_is_a_gap_and_not_zero() -> None:
    drawn = series.finished_per_second({("a", 1): [window(0, ok=30), window(1), window(2, ok=60)]}, marks=())
    assert drawn["series"] == [{"name": "a", "slot": 1, "y": [0.5, None, 1.0]}]
    assert drawn["x"][0] == "2026-11-23T13:32:00Z"


def test_an_engine_without_any_request_has_no_line() -> None:
    drawn = series.ttft_p95({("a", 1): [window(0)], ("b", 2): [window(0, ok=1, ttft={"0": 1})]}, limit=7.0, marks=())
    assert [one["name"] for one in drawn["series"]] == ["b"]
    assert drawn["limit"] == 7.0


def test_a_sparkline_breaks_where_there_is_no_value() -> None:
    drawn = spark.drawing([1.0, 2.0, None, 2.0, 1.0])
    assert drawn["line"].count("M") == 2
    assert (drawn["low"], drawn["high"], drawn["last"]) == (1.0, 2.0, 1.0)


@pytest.mark.parametrize("values", [[], [None, None]])
def test_nothing_to_draw_is_an_empty_path(values: list[float | None]) -> None:
    assert spark.drawing(values)["line"] == ""


def test_a_lone_point_can_be_seen() -> None:
    assert " " in spark.drawing([None, 3.0, None])["line"]
