"""What will be sent, decided beforehand: requests with intended times, prompts and seeds, under one digest. Pure.

Schedule, prompts and sampling are separate streams of one seed: changing one leaves the others as they were.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate
from random import Random

import orjson

from gates.load.workload import PromptSource, Shape, unit
from gates.policy import OpenLoop, Phase, Policy, Spacing, Step, check, digest

SECOND = 1_000_000_000
LEVEL_STRIDE = 10_000_000  # index of a STEP request: place of its level times this, plus its number within the level
LISTED = 1000  # how many requests of a STEP level the digest lists at most; the seed gives the others


@dataclass(frozen=True, slots=True)
class Planned:
    """One request. `intended_ns` counts from the start of the phase; a closed loop has none, it is 0 there."""

    index: int
    phase: Phase
    level: int | None
    intended_ns: int
    prompt_id: str
    seed: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """Open loop: every request in `requests`. STEP: `requests` is empty, `step_request` gives number i of a level.

    `time_scale` says by how much the recorded arrivals of a replay were stretched; 1 elsewhere.
    """

    phase: Phase
    requests: tuple[Planned, ...]
    spec: Step | OpenLoop
    seed: int
    prompts: PromptSource
    time_scale: float = 1.0

    def step_request(self, level: int, number: int) -> Planned:
        """Request `number` of a STEP level: the same on every call, without end."""
        if not isinstance(self.spec, Step):
            raise TypeError(f"{self.phase} is an open loop: its requests are all in `requests`.")
        index = self.spec.levels.index(level) * LEVEL_STRIDE + number
        return _planned(self.prompts, self.seed, self.phase, index, level=level)


@dataclass(frozen=True, slots=True)
class Plan:
    phases: tuple[PhasePlan, ...]
    digest: str
    seed: int

    def phase(self, phase: Phase) -> PhasePlan:
        return next(item for item in self.phases if item.phase is phase)


def build(policy: Policy, *, seed: int, prompts: PromptSource) -> Plan:
    """Raises InvalidPolicy."""
    check(policy)
    phases = tuple(_phase(policy, phase, seed, prompts) for phase in policy.phases)
    return Plan(phases, _digest(policy, phases, seed, prompts), seed)


def intended_times(spec: OpenLoop, key: str, shape: Shape = ()) -> tuple[list[int], float]:
    """Nanoseconds within the phase, rising, exactly as many as planned; and the time scale of a replay."""
    end, count = round(spec.seconds * SECOND), spec.planned
    if shape:
        shares, scale = _recorded(count, shape, spec.seconds)
    else:
        shares, scale = list(_shares(spec, count, Random(key))), 1.0  # noqa: S311 - a schedule, not a secret
    return [min(int(share * end), end - 1) for share in shares], scale


def _shares(spec: OpenLoop, count: int, random: Random) -> Iterator[float]:
    """Send times as shares of the phase. A Poisson process given its count is sorted uniform draws."""
    if spec.spacing is Spacing.CONSTANT:
        return (number / count for number in range(count))
    if spec.spacing is Spacing.POISSON:
        return iter(sorted(random.random() for _ in range(count)))
    gaps = [random.gammavariate(1 / spec.cv**2, 1.0) for _ in range(count + 1)]
    total = sum(gaps) or 1.0
    return (at / total for at in accumulate(gaps[:-1]))


def _recorded(count: int, shape: Shape, seconds: float) -> tuple[list[float], float]:
    """The recorded arrivals in their order, repeated when there are too few, stretched to fill the phase."""
    offsets = [offset for offset, _, _ in shape]
    period = (offsets[-1] - offsets[0]) * len(offsets) / max(1, len(offsets) - 1) or 1.0
    times = [offsets[i % len(offsets)] - offsets[0] + period * (i // len(offsets)) for i in range(count)]
    span = times[-1] + (period / len(offsets))
    return [at / span for at in times], seconds / span


def _phase(policy: Policy, phase: Phase, seed: int, prompts: PromptSource) -> PhasePlan:
    if phase is Phase.STEP:
        assert policy.step is not None  # noqa: S101 - policy.phases names only phases that are there
        return PhasePlan(phase, (), policy.step, seed, prompts)
    spec: OpenLoop = getattr(policy, phase.value)
    times, scale = intended_times(spec, f"{seed}:schedule:{phase}", prompts.shape)
    requests = (_planned(prompts, seed, phase, index, intended_ns=at) for index, at in enumerate(times))
    return PhasePlan(phase, tuple(requests), spec, seed, prompts, scale)


def _planned(
    prompts: PromptSource, seed: int, phase: Phase, index: int, *, level: int | None = None, intended_ns: int = 0
) -> Planned:
    chosen = prompts.choose(phase.value, index)
    sampling = int(unit(seed, "sampling", phase.value, index) * 2**31)
    return Planned(index, phase, level, intended_ns, chosen.prompt_id, sampling, chosen.max_tokens)


def _digest(policy: Policy, phases: tuple[PhasePlan, ...], seed: int, prompts: PromptSource) -> str:
    """SHA-256 of the canonical list: a head, then every planned request; of STEP the first ones of each level."""
    hasher = hashlib.sha256(orjson.dumps(["plan/1", digest(policy), seed, prompts.seed, prompts.digest]))
    for plan in phases:
        hasher.update(orjson.dumps([plan.phase, asdict(plan.spec)], option=orjson.OPT_SORT_KEYS))
        for item in _listed(plan):
            row = [item.index, item.intended_ns, item.prompt_id, item.seed, item.max_tokens, item.phase, item.level]
            hasher.update(b"\n" + orjson.dumps(row))
    return hasher.hexdigest()


def _listed(plan: PhasePlan) -> Iterator[Planned]:
    yield from plan.requests
    if isinstance(plan.spec, Step):
        for level in plan.spec.levels:
            count = min(plan.spec.level_completions, LISTED)
            yield from (plan.step_request(level, number) for number in range(count))
