"""Runs made by hand for the tests of judging: samples with given latencies, healthy generators, ends of phases."""

import random
from collections.abc import Iterable, Sequence

from gates.judge import judge
from gates.load.samples import Sample, SampleOutcome
from gates.policy import OpenLoop, Phase, Policy, Step
from gates.verdict import Finding, GeneratorHealth, Judgement, ObjectiveName, PhaseEnd

SECOND = 1_000_000_000
POLICY = Policy(
    name="small",
    step=Step(levels=(1, 2), level_seconds=10, level_completions=10, level_cap_seconds=20),
    spike=OpenLoop(rate=5, seconds=60),
    soak=OpenLoop(rate=2, seconds=1800),
)
SPIKE_ONLY = Policy(name="spike", step=None, spike=OpenLoop(rate=5, seconds=60), soak=None)
SOAK_ONLY = Policy(name="soak", step=None, spike=None, soak=OpenLoop(rate=2, seconds=1800))


def sample(index: int, phase: str = "spike", **fields: object) -> Sample:
    """By default: sent at 5 per second, first content after 0.5 s, done after 2 s."""
    ttft, e2e = fields.pop("ttft", 0.5), fields.pop("e2e", 2.0)
    intended = fields.pop("intended_ns", index * SECOND // (2 if phase == "soak" else 5))
    body = {
        "index": index,
        "phase": phase,
        "level": None,
        "attempt": 1,
        "intended_ns": intended,
        "sent_ns": intended,
        "first_token_ns": intended + int(ttft * SECOND),
        "end_ns": intended + int(e2e * SECOND),
        "outcome": SampleOutcome.OK,
        **fields,
    }
    return Sample(**body)


def failed(index: int, phase: str = "spike", **fields: object) -> Sample:
    return sample(index, phase, **{"outcome": SampleOutcome.HTTP_ERROR, "status_code": 500, **fields})


def open_loop(
    phase: str, planned: int, *, slow: Iterable[int] = (), broken: Iterable[int] = (), rate: int | None = None
) -> list[Sample]:
    """Planned samples, the listed ones 8 s to first content, or failed."""
    late, bad, pace = set(slow), set(broken), rate or (2 if phase == "soak" else 5)
    made = []
    for at in range(planned):
        fields = {"intended_ns": at * SECOND // pace, **({"ttft": 8.0, "e2e": 9.0} if at in late else {})}
        made.append((failed if at in bad else sample)(at, phase, **fields))
    return made


def step(per_level: int = 60, levels: Sequence[int] = (1, 2)) -> list[Sample]:
    return [
        sample(place * per_level + at, "step", level=level, intended_ns=(place * 20 * SECOND) + at * SECOND // 5)
        for place, level in enumerate(levels)
        for at in range(per_level)
    ]


def healthy(phase: str, breaches: tuple[str, ...] = ()) -> GeneratorHealth:
    return GeneratorHealth(
        phase=phase,
        lag_p99=0.002,
        lag_max=0.01,
        loop_lag_p99=0.001,
        achieved_ratio=1.0,
        cpu_share=0.2,
        not_sent=0,
        breaches=breaches,
    )


def end(phase: str, planned: int, **fields: object) -> PhaseEnd:
    body = {"phase": phase, "attempt": 1, "complete": True, "seconds": 60.0, "planned": planned}
    if phase == "step":
        body["level_seconds"] = ((1, 20.0), (2, 20.0))
    return PhaseEnd(**{**body, **fields})


def ends(policy: Policy) -> list[PhaseEnd]:
    planned = {phase: getattr(policy, phase.value).planned for phase in policy.phases if phase != Phase.STEP}
    return [end(phase.value, planned.get(phase, 0)) for phase in policy.phases]


def judged(samples: Sequence[Sample], policy: Policy, **fields: object) -> Judgement:
    given = {"generator": [healthy(phase.value) for phase in policy.phases], "phases": ends(policy), **fields}
    return judge(samples, policy, plan_digest="p" * 64, **given)


def finding(judgement: Judgement, phase: str, objective: ObjectiveName, scope: str | None = None) -> Finding:
    (found,) = (
        entry
        for entry in judgement.findings
        if (entry.phase, entry.objective) == (phase, objective) and scope in (None, entry.scope)
    )
    return found


def shuffled(samples: Sequence[Sample], seed: int = 1) -> list[Sample]:
    return random.Random(seed).sample(list(samples), len(samples))
