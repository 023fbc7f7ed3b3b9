"""Chances to pass against published numbers, and what the editor warns of."""

from dataclasses import replace

import pytest

from gates.operating import Curve, curve, curves, warnings, window_curve
from gates.policy import QUICK, STANDARD, Objectives, OpenLoop, Phase
from gates.verdict import ObjectiveName

ERRORS, TTFT = ObjectiveName.ERROR_RATE, ObjectiveName.TTFT_P95


def at(found: Curve, rate: float) -> float:
    return found.passes[min(range(len(found.rates)), key=lambda place: abs(found.rates[place] - rate))]


@pytest.mark.parametrize(
    ("phase", "objective", "rate", "chance"),
    [
        (Phase.SPIKE, ERRORS, 0.002, 0.88),
        (Phase.SPIKE, ERRORS, 0.005, 0.56),
        (Phase.SPIKE, ERRORS, 0.01, 0.20),
        (Phase.SPIKE, ERRORS, 0.02, 0.02),
        (Phase.SOAK, ERRORS, 0.003, 0.97),
        (Phase.SOAK, ERRORS, 0.004, 0.80),
        (Phase.SOAK, ERRORS, 0.005, 0.47),
        (Phase.SPIKE, TTFT, 0.04, 0.85),
        (Phase.SPIKE, TTFT, 0.05, 0.57),
        (Phase.SPIKE, TTFT, 0.06, 0.28),
        (Phase.SOAK, TTFT, 0.06, 0.005),
    ],
)
def test_the_chance_to_pass_at_a_true_rate(phase: Phase, objective: ObjectiveName, rate: float, chance: float) -> None:
    assert at(curve(STANDARD, phase, objective), rate) == pytest.approx(chance, abs=0.006)


def test_chances_fall_with_the_rate_and_start_at_one() -> None:
    for found in curves(STANDARD):
        assert found.passes[0] == 1.0
        assert list(found.passes) == sorted(found.passes, reverse=True)


def test_a_spike_alone_can_never_prove_half_a_percent_of_errors() -> None:
    told = curve(STANDARD, Phase.SPIKE, ERRORS).sentences[0]
    assert told.startswith("SPIKE alone can never prove an error rate under 0.5 %")
    assert "0.99 %" in told
    assert "598" in told
    assert told in warnings(STANDARD)


def test_a_longer_spike_can_prove_it_and_the_warning_goes() -> None:
    longer = replace(STANDARD, spike=OpenLoop(rate=5, seconds=120))
    assert curve(longer, Phase.SPIKE, ERRORS).proven == 0
    assert not any("SPIKE alone" in told for told in warnings(longer))


def test_a_soak_proves_errors_with_ten_failures_while_the_verdict_allows_seventeen() -> None:
    found = curve(STANDARD, Phase.SOAK, ERRORS)
    assert (found.proven, found.allowed, found.refuted) == (10, 17, 26)


def test_quick_proves_no_error_rate_and_its_single_window_is_named() -> None:
    told = warnings(QUICK)
    assert any(line.startswith("No phase with a planned number of requests can prove") for line in told)
    assert any("single window" in line for line in told)


def test_windows_ask_for_more_than_the_p95_does() -> None:
    found = window_curve(STANDARD)
    assert at(found, 0.03) == pytest.approx(0.84, abs=0.15)
    assert "at most 3.27 %" in found.sentences[0]
    stricter = replace(STANDARD, objectives=Objectives(windows_met=0.95))
    assert "at most 2.7" in window_curve(stricter).sentences[0]


def test_windows_with_too_few_requests_never_pass() -> None:
    found = window_curve(replace(STANDARD, soak=OpenLoop(rate=0.2, seconds=1800)))
    assert set(found.passes) == {0.0}
    assert "it can never be judged" in found.sentences[0]


def test_windows_need_a_soak() -> None:
    with pytest.raises(ValueError, match="SOAK"):
        window_curve(replace(STANDARD, soak=None))
