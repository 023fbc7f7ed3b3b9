"""Stopping early never changes the verdict, and happens at the request that decides."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gates.curtail import Curtailment
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Mode, Objectives, OpenLoop, Phase, Policy
from gates.verdict import ObjectiveName, Verdict
from tests.gates.judging import POLICY, SOAK_ONLY, SPIKE_ONLY, end, failed, finding, judged, open_loop, sample

KINDS = st.sampled_from(["fast", "fast", "fast", "slow", "failed"])


def stopped_at(policy: Policy, phase: Phase, samples: list[Sample], planned: int) -> tuple[int, str]:
    """How many samples were seen when the phase stopped, and the objective lost."""
    curtailment = Curtailment(policy, phase, planned)
    for seen, entry in enumerate(samples, 1):
        if lost := curtailment.see(entry):
            return seen, lost
    return len(samples), ""


def test_the_second_error_ends_a_spike_and_the_eighteenth_a_soak() -> None:
    spike = open_loop("spike", 300, broken=range(300))
    soak = open_loop("soak", 3600, broken=range(3600))
    assert stopped_at(SPIKE_ONLY, Phase.SPIKE, spike, 300) == (2, "error_rate")
    assert stopped_at(SOAK_ONLY, Phase.SOAK, soak, 3600) == (18, "error_rate")


def test_the_16th_slow_request_ends_a_spike_and_the_181st_a_soak() -> None:
    spike = open_loop("spike", 300, slow=range(300))
    soak = open_loop("soak", 3600, slow=range(3600))
    assert stopped_at(SPIKE_ONLY, Phase.SPIKE, spike, 300) == (16, "ttft_p95")
    assert stopped_at(SOAK_ONLY, Phase.SOAK, soak, 3600) == (181, "ttft_p95")


def test_one_percent_of_errors_ends_a_soak_at_the_eighteenth() -> None:
    samples = open_loop("soak", 3600, broken=range(50, 3600, 100))
    seen, lost = stopped_at(SOAK_ONLY, Phase.SOAK, samples, 3600)
    assert (lost, sum(entry.failed for entry in samples[:seen])) == ("error_rate", 18)


def test_a_soak_stops_when_the_throughput_is_out_of_reach() -> None:
    lax = replace(SOAK_ONLY, objectives=Objectives(error_rate=1.0, ttft_p95=7, e2e_p95=20, qps=2))
    samples = open_loop("soak", 3600, broken=range(3600))
    loose = Curtailment(lax, Phase.SOAK, 3600)
    loose.slow = dict.fromkeys(loose.slow, -10_000)
    assert next(at for at, entry in enumerate(samples, 1) if loose.see(entry) == "qps") == 361


def test_diagnosis_and_step_are_never_stopped() -> None:
    broken = [failed(at) for at in range(300)]
    assert stopped_at(replace(SPIKE_ONLY, mode=Mode.DIAGNOSE), Phase.SPIKE, broken, 300)[1] == ""
    assert stopped_at(POLICY, Phase.STEP, broken, 0)[1] == ""


def test_warm_up_and_our_own_cancels_do_not_count() -> None:
    curtailment = Curtailment(SPIKE_ONLY, Phase.SPIKE, 300)
    ours = [failed(at, warmup=True) for at in range(9)]
    ours += [sample(at, outcome=SampleOutcome.CANCELLED_BY_US) for at in range(9)]
    assert [curtailment.see(entry) for entry in ours] == [""] * 18


@settings(max_examples=150, deadline=None)
@given(
    kinds=st.lists(KINDS, min_size=4, max_size=60),
    phase=st.sampled_from([Phase.SPIKE, Phase.SOAK]),
    objectives=st.builds(
        Objectives,
        error_rate=st.sampled_from([0.005, 0.05, 0.2, 0.5]),
        qps=st.sampled_from([0.5, 1.0, 2.0]),
        windows_met=st.sampled_from([0.5, 0.9]),
    ),
    order=st.randoms(use_true_random=False),
)
def test_stopping_early_never_changes_the_verdict(
    kinds: list[str], phase: Phase, objectives: Objectives, order: object
) -> None:
    loop = OpenLoop(rate=1, seconds=len(kinds))
    policy = Policy(
        name="small", step=None, spike=None, soak=None, objectives=objectives, window_seconds=10, window_minimum=2
    )
    policy = replace(policy, **{phase.value: loop})
    slow = [at for at, kind in enumerate(kinds) if kind == "slow"]
    broken = [at for at, kind in enumerate(kinds) if kind == "failed"]
    samples = open_loop(phase.value, len(kinds), slow=slow, broken=broken, rate=1)
    order.shuffle(samples)
    whole = judged(samples, policy)
    seen, lost = stopped_at(policy, phase, samples, len(samples))
    if not lost:
        return
    cut = samples[:seen]
    rest = [replace(entry, outcome=SampleOutcome.CANCELLED_BY_US) for entry in samples[seen : seen + 2]]
    stopped = end(phase.value, len(kinds), complete=False, curtailed=lost)
    early = judged([*cut, *rest], policy, phases=[stopped])
    assert early.verdict == whole.verdict == Verdict.FAILED
    assert finding(early, phase.value, ObjectiveName(lost)).verdict == Verdict.FAILED
    assert finding(whole, phase.value, ObjectiveName(lost)).verdict == Verdict.FAILED
