"""Hit rates of prefix caches from counters that only grow until their process starts anew."""

from hypothesis import given
from hypothesis import strategies as st

from engines.prefix_hits import (
    SPACING_SECONDS,
    WINDOW_SECONDS,
    Hits,
    Reading,
    keep,
    readings_from_json,
    recent,
    since_start,
)


def probed(every: float, count: int, *, hits: float = 3, queries: float = 4) -> list[Reading]:
    readings: list[Reading] = []
    for number in range(count):
        readings = keep(readings, number * every, number * hits, number * queries)
    return readings


def test_the_rate_is_that_of_the_last_minutes_and_since_the_start() -> None:
    readings = probed(5, 200)
    now = readings[-1][0]
    lately = recent([readings], now)
    assert lately is not None
    assert lately.share == 0.75
    assert WINDOW_SECONDS <= readings[-1][0] - readings[0][0] <= WINDOW_SECONDS + 2 * SPACING_SECONDS
    assert since_start([readings]) == Hits(597, 796)


def test_replicas_count_by_what_they_looked_up() -> None:
    busy, idle = [(0.0, 0.0, 0.0), (5.0, 900.0, 1000.0)], [(0.0, 50.0, 100.0), (5.0, 50.0, 100.0)]
    assert recent([busy, idle, []], 6.0) == Hits(900, 1000)
    assert since_start([busy, idle]) == Hits(950, 1100)


def test_unknown_is_never_zero() -> None:
    assert recent([[]], 0.0) is None
    assert since_start([]) is None
    assert keep([(1.0, 2.0, 3.0)], 6.0, None, 4.0) == [(1.0, 2.0, 3.0)]
    assert recent([[(1.0, 2.0, 3.0)]], 1000.0) is None
    nothing = recent([[(1.0, 2.0, 3.0)]], 2.0)
    assert nothing is not None
    assert nothing.share is None


def test_a_process_that_starts_anew_is_counted_anew() -> None:
    readings = keep(probed(5, 20), 200.0, 1.0, 8.0)
    assert readings == [(200.0, 1.0, 8.0)]


@given(st.lists(st.tuples(st.floats(1, 90), st.integers(0, 50), st.integers(0, 50)), max_size=80))
def test_few_readings_are_kept_and_no_rate_is_beyond_all_and_nothing(steps: list[tuple[float, int, int]]) -> None:
    readings: list[Reading] = []
    at = found = looked_up = 0.0
    for wait, hits, misses in steps:
        at, found, looked_up = at + wait, found + hits, looked_up + hits + misses
        readings = keep(readings, at, found, looked_up)
        seen = recent([readings], at)
        assert seen is not None
        assert seen.share is None or 0 <= seen.share <= 1
    assert len(readings) <= WINDOW_SECONDS / SPACING_SECONDS * 2 + 3
    assert readings_from_json([list(row) for row in readings]) == readings
