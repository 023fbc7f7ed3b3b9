"""engines.prometheus: bad lines are unknown numbers, never zeros."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.prometheus import read_metrics


def read(text):
    return read_metrics(text, prefixes=("x:",))


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf", "abc", ""])
def test_a_value_that_cannot_be_is_absent(value):
    assert read(f"x:num_requests_running {value}\n") == {}


def test_a_bad_line_does_not_hide_the_good_ones():
    text = 'x:num_requests_running{a="1} 3\nx:num_requests_waiting{a="1"} 2\n<html>\n'
    assert read(text) == {"waiting": 2}


def test_a_series_written_twice_counts_once():
    assert read('x:num_requests_running{a="1"} 3\nx:num_requests_running{a="1"} 4\n') == {"running": 4}


def test_a_longer_name_is_another_metric():
    assert read("x:num_requests_running_max 3\n") == {}


@given(st.text(max_size=80))
def test_no_text_makes_the_reader_raise(tail):
    read(f"x:num_requests_running{tail}")
