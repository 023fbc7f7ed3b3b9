"""Numbers as people read them."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import numbers

FORMATTERS = [
    numbers.number, numbers.ms, numbers.seconds, numbers.duration, numbers.rate, numbers.percent, numbers.score,
    numbers.burn,
]  # fmt: skip


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_missing_measurement_is_a_dash_and_never_zero(formatter: object) -> None:
    assert formatter(None) == "—"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (numbers.ms(1.84), "1\u2009840 ms"),
        (numbers.ms(0.0004), "< 1 ms"),
        (numbers.ms(math.inf), "∞"),
        (numbers.rate(0.21), "0.21"),
        (numbers.rate(12.34), "12.3"),
        (numbers.rate(0.0), "0"),
        (numbers.percent(0.001), "0.1 %"),
        (numbers.percent(0.0001), "< 0.1 %"),
        (numbers.percent(0.9), "90 %"),
        (numbers.percent(0.0), "0 %"),
        (numbers.percent(1.0), "100 %"),
        (numbers.score(0.9), "0.90"),
        (numbers.burn(14.44), "14.4×"),
        (numbers.duration(252), "4 min 12 s"),
        (numbers.duration(timedelta(hours=3, seconds=5)), "3 h"),
        (numbers.duration(timedelta(days=2, hours=4, minutes=9)), "2 d 4 h"),
        (numbers.duration(0), "0 s"),
        (numbers.duration(-3), "0 s"),
    ],
)
def test_numbers_read_like_this(shown: str, text: str) -> None:
    assert shown == text


@given(st.floats(min_value=0, max_value=1e9))
def test_no_formatter_ever_prints_a_raw_float(value: float) -> None:
    for formatter in FORMATTERS:
        text = formatter(value)
        assert "e+" not in text
        assert "nan" not in text
