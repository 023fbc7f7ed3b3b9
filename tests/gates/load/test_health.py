"""The generator judges itself: every limit has its breach, in words, and a starved one is found out."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.load import selftest
from gates.load.health import Readings, judge_health
from gates.policy import QUICK, STANDARD, OpenLoop
from tests.fakes.engine import serve
from tests.gates.load.kit import SPIKE, prompts_of, run, with_changes

FIT = Readings(
    lags=[0.002] * 200, loop_lags=[0.001] * 200, due=200, on_time=200, not_sent=0, wall=60.0, monotonic=60.0, cpu=6.0
)


def test_a_fit_generator_has_no_breaches():
    found = judge_health("spike", FIT)
    assert found.breaches == ()
    assert (found.lag_p99, found.lag_max, found.loop_lag_p99, found.cpu_share) == (0.002, 0.002, 0.001, 0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lags": [0.002] * 190 + [0.06] * 10}, "send lag P99 60 ms, limit 50 ms"),
        ({"lags": [0.002] * 199 + [0.501]}, "send lag at most 501 ms, limit 500 ms"),
        ({"loop_lags": [0.001] * 190 + [0.03] * 10}, "loop lag P99 30 ms, limit 20 ms"),
        ({"on_time": 197}, "98.5% of the due requests left in time; 99% are needed"),
        ({"cpu": 48.0}, "80% of a core, limit 70%"),
        ({"not_sent": 3}, "3 requests were not sent"),
        ({"wall": 60.06}, "60 ms against the monotonic clock"),
        ({"wall": 59.9}, "100 ms against the monotonic clock"),
    ],
)
def test_every_limit_that_breaks_is_said_in_words(changes, words):
    found = judge_health("spike", replace(FIT, **changes)).breaches
    assert len(found) == 1
    assert words in found[0]


@given(lags=st.lists(st.floats(0, 2), min_size=1, max_size=300))
def test_the_lag_percentile_is_the_nearest_rank(lags):
    found = judge_health("spike", replace(FIT, lags=lags))
    assert sum(lag <= found.lag_p99 for lag in lags) >= 0.99 * len(lags)
    assert sum(lag < found.lag_p99 for lag in lags) < 0.99 * len(lags)
    assert found.lag_max == max(lags)


def test_a_closed_loop_has_no_lag_and_no_pace():
    found = judge_health("step", replace(FIT, due=None))
    assert (found.lag_p99, found.lag_max, found.achieved_ratio) == (None, None, None)
    assert found.breaches == ()


async def test_a_starved_generator_is_found_out():
    """Something in the loop holds it up for long; the requests are late, and the health says so."""
    policy = with_changes(SPIKE, spike=OpenLoop(rate=50, seconds=2.5))
    with serve() as fake:
        result, samples = await run(policy, fake.url, curtail=lambda _: time.sleep(0.03) or "")
    assert len(samples) == 125  # nothing is skipped
    assert any("send lag" in breach or "loop lag" in breach for breach in result.health.breaches)


async def test_the_self_test_sends_the_fastest_phase_at_twice_its_rate():
    doubled = selftest.faster(STANDARD, 5)
    assert (doubled.spike.rate, doubled.spike.seconds, doubled.step, doubled.soak) == (10, 5, None, None)
    assert selftest.faster(replace(STANDARD, spike=None, soak=None), 5).spike.rate == 32
    found = await selftest.run(QUICK, seed=1, prompts=prompts_of(QUICK), seconds=1)
    assert found.phase == "self-test"
    assert found.not_sent == 0
    assert found.lag_p99 is not None
