"""Plans: exactly the planned number, in order, inside the phase, and the same for the same seed."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.load.plan import SECOND, build, intended_times
from gates.policy import QUICK, STANDARD, InvalidPolicy, OpenLoop, Phase, Policy, Spacing, Workload
from tests.gates.load.kit import SPIKE, prompts_of

SPECS = st.builds(
    OpenLoop,
    rate=st.floats(0.5, 200),
    seconds=st.floats(2, 60),
    spacing=st.sampled_from(Spacing),
    cv=st.floats(0.2, 5),
)


def plan_of(policy: Policy, seed: int = 1):
    return build(policy, seed=seed, prompts=prompts_of(policy, seed))


@settings(max_examples=60, deadline=None)
@given(spec=SPECS, seed=st.integers(0, 2**31))
def test_every_spacing_gives_exactly_the_planned_number_in_order_within_the_phase(spec, seed):
    times, scale = intended_times(spec, f"{seed}")
    assert len(times) == spec.planned
    assert times == sorted(times)
    assert all(0 <= at < spec.seconds * SECOND for at in times)
    assert scale == 1.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), spacing=st.sampled_from(Spacing))
def test_the_same_seed_gives_the_same_plan_and_another_seed_another(seed, spacing):
    policy = replace(QUICK, spike=replace(QUICK.spike, spacing=spacing))
    first, again, other = plan_of(policy, seed), plan_of(policy, seed), plan_of(policy, seed + 1)
    assert first.digest == again.digest != other.digest
    assert [phase.requests for phase in first.phases] == [phase.requests for phase in again.phases]


def test_constant_spacing_is_the_number_over_the_rate():
    spike = plan_of(STANDARD).phase(Phase.SPIKE)
    assert len(spike.requests) == 300
    assert [item.intended_ns for item in spike.requests[:3]] == [0, SECOND // 5, 2 * SECOND // 5]
    assert len(plan_of(STANDARD).phase(Phase.SOAK).requests) == 3600


def test_gamma_gaps_vary_as_much_as_asked():
    for cv in (0.3, 3.0):
        times, _ = intended_times(OpenLoop(rate=100, seconds=100, spacing=Spacing.GAMMA, cv=cv), "key")
        gaps = [after - before for before, after in itertools.pairwise(times)]
        mean = sum(gaps) / len(gaps)
        found = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 / mean
        assert found == pytest.approx(cv, rel=0.15)


def test_schedule_prompts_and_sampling_are_separate_streams():
    constant, poisson = (
        plan_of(replace(SPIKE, spike=OpenLoop(rate=10, seconds=10, spacing=spacing))).phases[0].requests
        for spacing in (Spacing.CONSTANT, Spacing.POISSON)
    )
    assert [item.intended_ns for item in constant] != [item.intended_ns for item in poisson]
    assert [(item.prompt_id, item.seed) for item in constant] == [(item.prompt_id, item.seed) for item in poisson]


def test_every_prompt_of_a_plan_is_asked_once():
    plan = plan_of(STANDARD)
    step = plan.phase(Phase.STEP)
    ids = [item.prompt_id for phase in plan.phases for item in phase.requests]
    ids += [step.step_request(level, number).prompt_id for level in step.spec.levels for number in range(100)]
    assert len(set(ids)) == len(ids)


def test_a_step_request_is_the_same_on_every_call_and_unlike_its_neighbours():
    step = plan_of(STANDARD).phase(Phase.STEP)
    assert step.step_request(16, 5) == step.step_request(16, 5)
    found = {step.step_request(level, number).index for level in step.spec.levels for number in range(500)}
    assert len(found) == 5 * 500
    assert step.step_request(16, 5).level == 16


def test_the_digest_covers_schedule_lengths_and_prompts():
    base = plan_of(STANDARD).digest
    for other in (
        replace(STANDARD, spike=replace(STANDARD.spike, spacing=Spacing.POISSON)),
        replace(STANDARD, workload=Workload(output_tokens=64)),
        replace(STANDARD, workload=Workload(source="upload", lines=('{"prompt": "Say hello."}',))),
    ):
        assert plan_of(other).digest != base


def test_a_replay_keeps_the_recorded_rhythm_and_says_how_far_it_was_stretched():
    shape = [(0.0, 10, 20), (1.0, 30, 40), (1.5, 50, 60), (4.5, 70, 80)]
    policy = replace(SPIKE, spike=OpenLoop(rate=4, seconds=2), workload=Workload(source="replay"))
    phase = build(policy, seed=1, prompts=prompts_of(policy, shape=shape)).phases[0]
    times = [item.intended_ns for item in phase.requests]
    assert len(times) == 8
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.01)
    assert gaps[2] / gaps[1] == pytest.approx(6.0, rel=0.01)
    assert gaps[4:7] == pytest.approx(gaps[0:3], rel=0.01)
    assert [item.max_tokens for item in phase.requests[:5]] == [20, 40, 60, 80, 20]
    assert phase.time_scale == pytest.approx(2 / 12)


@pytest.mark.parametrize(
    "changes", [{"step": None, "spike": None, "soak": None}, {"spike": OpenLoop(rate=1000, seconds=3600)}]
)
def test_a_policy_that_cannot_be_run_is_refused(changes):
    with pytest.raises(InvalidPolicy):
        plan_of(replace(STANDARD, **changes))
