"""engines.slo: windows and burn rates from counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.slo import (
    BURN_RULES,
    BURN_WINDOWS,
    Count,
    Sli,
    Urgency,
    Verdict,
    WindowVerdict,
    budget_left,
    burn_alerts,
    burn_rate,
    judge_window,
    met_share,
    objectives,
)

COUNTS = st.integers(0, 10_000).flatmap(lambda total: st.builds(Count, st.integers(0, total), st.just(total)))


def window(ttft=(100, 100), e2e=(100, 100), success=(200, 200), **options):
    counts = {Sli.TTFT: Count(*ttft), Sli.E2E: Count(*e2e), Sli.SUCCESS: Count(*success)}
    return judge_window(counts, objectives(qps=options.pop("qps", None)), **options)


def test_ninety_five_of_a_hundred_meets_p95_and_ninety_four_breaks_it():
    assert window(ttft=(95, 100)).verdict is Verdict.MET
    broken = window(ttft=(94, 100))
    assert broken.verdict is Verdict.BROKEN
    assert [sli for sli, verdict in broken.by_sli.items() if verdict is Verdict.BROKEN] == [Sli.TTFT]


def test_an_empty_window_is_neither_met_nor_broken():
    assert window(ttft=(0, 0), e2e=(0, 0), success=(0, 0)).verdict is Verdict.NO_DATA
    assert window(ttft=(0, 5), e2e=(0, 5), success=(0, 5), min_count=6).verdict is Verdict.NO_DATA


@pytest.mark.parametrize(("served", "verdict"), [(1.8, Verdict.MET), (1.79, Verdict.BROKEN), (None, Verdict.NO_DATA)])
def test_qps_passes_at_ninety_per_cent_of_its_target(served, verdict):
    assert window(qps=2.0, served_per_second=served).by_sli[Sli.QPS] is verdict


def test_windows_without_data_do_not_count_in_the_share():
    verdicts = [WindowVerdict(verdict, {}) for verdict in (Verdict.MET, Verdict.NO_DATA, Verdict.BROKEN)]
    assert met_share(verdicts) == 0.5
    assert met_share(verdicts[1:2]) is None


def test_a_burn_rate_of_one_spends_the_budget_exactly():
    assert burn_rate(Count(995, 1000), 0.995) == pytest.approx(1)
    assert budget_left(Count(995, 1000), 0.995) == pytest.approx(0)
    assert burn_rate(Count(0, 0), 0.995) is None
    assert burn_rate(Count(9, 10), 1.0) == float("inf")


def test_a_fast_burn_pages_only_while_it_lasts():
    burning = dict.fromkeys(BURN_WINDOWS, Count(80, 100))
    over = {**burning, 300: Count(100, 100), 1800: Count(100, 100), 21_600: Count(1000, 1000)}
    assert [alert.rule for alert in burn_alerts(burning, 0.95)] == [BURN_RULES[2]]
    assert [alert.rule.urgency for alert in burn_alerts(burning, 0.995)] == [Urgency.PAGE, Urgency.PAGE, Urgency.TICKET]
    assert burn_alerts(over, 0.995) == ()


@pytest.mark.parametrize(("short", "fires"), [(Count(0, 2), False), (Count(0, 3), True), (Count(8, 10), True)])
def test_a_handful_of_requests_raises_no_alert(short, fires):
    counts = {300: short, 3600: Count(80, 100)}
    assert bool(burn_alerts(counts, 0.995)) is fires


@given(st.dictionaries(st.sampled_from(BURN_WINDOWS), COUNTS), st.floats(0.5, 1))
def test_alerts_never_come_without_bad_requests(counts, target):
    for alert in burn_alerts(counts, target):
        assert counts[alert.rule.short].good < counts[alert.rule.short].total


@given(COUNTS, COUNTS)
def test_counters_add_up(one, other):
    assert (one + other).total == one.total + other.total
