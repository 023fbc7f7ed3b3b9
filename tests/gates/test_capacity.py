"""The capacity search against simulated engines: brackets, budgets, unresolved probes, saturation."""

import asyncio
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import capacity, stats
from gates.capacity import Probe, Saturation, Search, State, Stop, judge, next_rate
from gates.capacity_run import InvalidOptions, Options, check, climb
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Objectives

LIMITS = Objectives(ttft_p95=1, e2e_p95=2)
RATES = st.floats(0.1, 500)


def probe(rate: float, state: State, low: float = 0.9, high: float = 1.0) -> Probe:
    return Probe(rate=rate, state=state, n=100, good=95, failures=0, low=low, high=high, effect=1.0, reason="")


def run(search: Search, state_at: object) -> tuple[list[Probe], capacity.Found]:
    async def ask(rate: float, _seconds: float) -> Probe:
        return probe(rate, state_at(rate))

    async def keep(_probes: list[Probe]) -> None:
        return None

    return asyncio.run(climb(search, Options(), ask, keep))


def sharp(true: float) -> object:
    return lambda rate: State.PASS if rate <= true else State.FAIL


@given(true=st.floats(1, 60))
def test_a_sharp_capacity_is_bracketed_within_ten_per_cent(true: float) -> None:
    probes, found = run(Search(start=1, cap=64), sharp(true))
    assert found.stop is Stop.CONVERGED
    assert found.lo <= true < found.hi <= found.lo * 1.1
    assert len(probes) <= 10
    assert found.headroom == found.lo / 2
    assert found.spike_headroom == found.lo / 5
    assert found.monotone


@given(start=st.floats(0.1, 10), span=st.floats(1, 100), true=RATES, data=st.data())
def test_a_search_always_ends_in_its_budget_with_a_bracket_that_probes_showed(
    start: float, span: float, true: float, data: st.DataObject
) -> None:
    doubt = data.draw(st.floats(0, 0.5))

    def state_at(rate: float) -> State:
        near = abs(math.log(rate / true)) < doubt
        return State.UNRESOLVED if near else sharp(true)(rate)

    search = Search(start=start, cap=start * span)
    probes, found = run(search, state_at)
    assert 1 <= len(probes) <= search.most_probes
    assert len({one.rate for one in probes}) == len(probes)
    assert all(start <= one.rate <= search.cap for one in probes)
    shown = {one.rate: one.state for one in probes}
    assert found.lo is None or (shown[found.lo] is State.PASS and found.lo <= true)
    assert found.hi is None or (shown[found.hi] is State.FAIL and found.hi >= true)
    assert found.sentence


def test_it_says_why_it_stopped() -> None:
    assert run(Search(start=2, cap=8), sharp(1.0))[1].stop is Stop.FAILS_AT_MINIMUM
    capped = run(Search(start=1, cap=8), sharp(100.0))[1]
    assert (capped.stop, capped.lo, capped.hi) == (Stop.CAP, 8, None)
    assert run(Search(cap=8), lambda _: State.UNRESOLVED)[1].stop is Stop.UNRESOLVED
    assert run(Search(cap=1e6, most_probes=4), sharp(100.0))[1].stop is Stop.BUDGET


def test_an_unresolved_rate_bounds_neither_side_and_is_searched_around() -> None:
    around = [probe(4, State.PASS), probe(8, State.FAIL), probe(math.sqrt(32), State.UNRESOLVED)]
    assert capacity.bounds(around) == (4, 8)
    wanted = next_rate(Search(), around)
    assert isinstance(wanted, float)
    assert wanted not in {4, 8, math.sqrt(32)}


def test_an_undecided_probe_is_tried_once_more_for_longer_and_only_the_second_counts() -> None:
    asked: list[tuple[float, float]] = []

    async def ask(rate: float, seconds: float) -> Probe:
        asked.append((rate, seconds))
        return probe(rate, State.PASS if seconds > 20 else State.UNRESOLVED)

    async def keep(probes: list[Probe]) -> None:
        assert all(one.state is State.PASS for one in probes)

    probes, found = asyncio.run(climb(Search(start=32, cap=64), Options(), ask, keep))
    assert asked == [(32, 20), (32, 60), (64, 20), (64, 60)]
    assert [one.rate for one in probes] == [32, 64]
    assert found.stop is Stop.CAP
    assert Options().longer(120) == 180
    assert Options().longer(400) == 400


def test_a_higher_rate_that_goes_better_is_reported() -> None:
    odd = [probe(4, State.FAIL, 0.5, 0.7), probe(8, State.PASS, 0.96, 1.0)]
    assert not capacity.monotone(odd)
    assert "may be wrong" in capacity.found(Search(), odd, Stop.UNRESOLVED).sentence


def sample(index: int, rate: float, e2e: float, outcome: SampleOutcome = SampleOutcome.OK) -> Sample:
    at = int(index / rate * 1e9)
    end = at + int(e2e * 1e9)
    return Sample(
        index=index, phase="soak", level=None, attempt=1, intended_ns=at, sent_ns=at, first_token_ns=at + 1000,
        end_ns=end, outcome=outcome,
    )  # fmt: skip


def queue(rate: float, *, slots: int, service: float, seconds: float = 120, seed: int = 1) -> list[Sample]:
    """Poisson arrivals at so many slots, each busy for an exponential time: held up to slots / service per second."""
    random, free, at, samples = Random(seed), [0.0] * slots, 0.0, []
    while (at := at + random.expovariate(rate)) < seconds:
        slot = min(range(slots), key=free.__getitem__)
        free[slot] = max(at, free[slot]) + random.expovariate(1 / service)
        one = sample(0, 1, 0)
        samples.append(
            Sample(**{**{name: getattr(one, name) for name in Sample.__slots__}, "index": len(samples),
                      "intended_ns": int(at * 1e9), "first_token_ns": int(at * 1e9), "end_ns": int(free[slot] * 1e9)})
        )  # fmt: skip
    return samples


@pytest.mark.parametrize("seed", range(5))
def test_a_queue_is_held_at_a_third_of_its_capacity_and_not_above_it(seed: int) -> None:
    limits = Objectives(ttft_p95=4, e2e_p95=4)
    assert judge(5, queue(5, slots=8, service=0.5, seed=seed), limits).state is State.PASS
    assert judge(20, queue(20, slots=8, service=0.5, seed=seed), limits).state is State.FAIL


@pytest.mark.parametrize("seed", range(3))
def test_a_search_on_a_simulated_queue_ends_around_its_capacity(seed: int) -> None:
    """Eight slots of half a second hold 16 per second; a limit of 3 s is broken somewhat below."""

    async def ask(rate: float, seconds: float) -> Probe:
        samples = queue(rate, slots=8, service=0.5, seconds=max(seconds, 60), seed=seed)
        return judge(rate, samples, Objectives(ttft_p95=3, e2e_p95=3))

    async def keep(_probes: list[Probe]) -> None:
        return None

    probes, found = asyncio.run(climb(Search(), Options(), ask, keep))
    assert len(probes) <= 15
    assert 4 <= found.lo <= 16
    assert found.lo < found.hi <= 32


@given(n=st.integers(60, 400), misses=st.integers(0, 60))
def test_a_probe_passes_only_when_its_bounds_show_it(n: int, misses: int) -> None:
    samples = [sample(i, 4, 5.0 if i % max(1, n // max(1, misses)) == 0 and misses else 0.5) for i in range(n)]
    found = judge(4, samples, LIMITS)
    assert found.low <= found.good / n <= found.high
    assert (found.state is State.PASS) == (found.low >= 0.95)
    assert (found.state is State.FAIL) == (found.high < 0.95)


def test_few_requests_decide_nothing_and_no_request_neither() -> None:
    assert judge(4, [sample(i, 4, 0.5) for i in range(58)], LIMITS).state is State.UNRESOLVED
    assert judge(4, [], LIMITS).state is State.UNRESOLVED
    assert judge(4, [sample(i, 4, 0.5) for i in range(59)], LIMITS).state is State.PASS


def test_errors_fail_a_probe_only_once_they_are_shown_and_one_error_decides_nothing() -> None:
    def with_errors(k: int) -> Probe:
        bad = [sample(i * 30, 4, 0.5, SampleOutcome.HTTP_ERROR) for i in range(k)]
        return judge(4, [*bad, *(sample(300 + i, 4, 0.5) for i in range(300))], LIMITS)

    assert [with_errors(k).state for k in (0, 1, 2, 6)] == [State.PASS, State.PASS, State.UNRESOLVED, State.FAIL]


def test_an_unfit_generator_never_fails_the_engine_and_cancelled_requests_do_not_count() -> None:
    slow = [sample(i, 4, 9.0) for i in range(100)]
    assert judge(4, slow, LIMITS, breaches=["late"]).state is State.UNRESOLVED
    ours = [sample(i, 4, 9.0, SampleOutcome.CANCELLED_BY_US) for i in range(100)]
    assert judge(4, ours, LIMITS).n == 0
    assert judge(4, ours, LIMITS, saturated=True).state is State.FAIL


def saturated_at(rise: float, *, level: float = 20, seconds: int = 120) -> float | None:
    watch, random = Saturation(30), Random(3)
    for tick in range(seconds * 2):
        at = tick / 2
        watch.answered(at, 1 + rise * at / 20 + random.random() * 0.1)
        if watch.see(at, round(level + rise * at + random.gauss(0, 3))):
            return at
    return None


def test_requests_that_pile_up_for_half_a_minute_end_a_probe_and_steady_ones_do_not() -> None:
    assert 30 <= saturated_at(2.0) <= 60
    assert saturated_at(0.0) is None
    assert saturated_at(-0.1) is None


def test_the_bound_of_a_slope_agrees_with_scipy() -> None:
    from scipy.stats import linregress, t  # noqa: PLC0415 - the oracle is slow to import

    random = Random(5)
    points = [(float(x), 0.3 * x + random.gauss(0, 2)) for x in range(25)]
    rise, low = stats.slope(points)
    fit = linregress([x for x, _ in points], [y for _, y in points])
    assert rise == pytest.approx(fit.slope)
    assert low == pytest.approx(fit.slope - t.ppf(0.95, 23) * fit.stderr)
    assert stats.slope([(0, 1), (1, 2)]) == (0.0, -math.inf)


@pytest.mark.parametrize("wrong", [{"start": 0}, {"start": 9, "cap": 8}, {"probe_seconds": 0}, {"least_requests": 50}])
def test_options_that_cannot_be_searched_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidOptions):
        check(Options(**wrong))
