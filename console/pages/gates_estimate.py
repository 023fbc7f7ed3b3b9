"""What a run would cost before it starts: time, requests, tokens. Pure."""

from dataclasses import dataclass

from gates.policy import Policy, Step, longest_seconds

# An engine at rest warms up and drains within seconds; the policy's limits are for trouble.
TYPICAL_WARM_UP = 10.0
TYPICAL_BETWEEN_PHASES = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """`requests` of STEP are a least number: a fast engine answers more in the same time."""

    longest_seconds: float
    typical_seconds: float
    step_requests: int
    open_requests: int
    output_tokens: int
    input_tokens: int | None

    @property
    def requests(self) -> int:
        return self.step_requests + self.open_requests


def estimate(policy: Policy) -> Estimate:
    step, workload = policy.step, policy.workload
    loops = [spec for spec in (policy.spike, policy.soak) if spec is not None]
    step_requests = step_least(step) if step else 0
    open_requests = sum(spec.planned for spec in loops)
    total = step_requests + open_requests + policy.warm_up_requests
    levels = len(step.levels) * step.level_seconds if step else 0.0
    lengths_known = workload.source == "synthetic"
    return Estimate(
        longest_seconds=longest_seconds(policy),
        typical_seconds=min(policy.warm_up_seconds, TYPICAL_WARM_UP)
        + levels
        + sum(spec.seconds for spec in loops)
        + len(policy.phases) * TYPICAL_BETWEEN_PHASES,
        step_requests=step_requests,
        open_requests=open_requests,
        output_tokens=total * workload.output_tokens,
        input_tokens=total * workload.input_tokens if lengths_known else None,
    )


def step_least(step: Step) -> int:
    return len(step.levels) * step.level_completions
