"""The gate policy: phases, objectives and rules of judging, as one immutable value with a digest. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    STEP = "step"
    SPIKE = "spike"
    SOAK = "soak"


class Spacing(StrEnum):
    """How intended send times of an open-loop phase lie: all three send exactly the planned number."""

    CONSTANT = "constant"
    POISSON = "poisson"
    GAMMA = "gamma"


class Mode(StrEnum):
    """GATE stops a phase that can no longer pass (the verdict is the same); DIAGNOSE always runs to the end."""

    GATE = "gate"
    DIAGNOSE = "diagnose"


MOST_PLANNED = 200_000  # a plan and its samples are held in memory


class InvalidPolicy(ValueError):
    """The policy cannot be run; the message says which field and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Closed loop: each level runs max(level_seconds, level_completions answers), capped. Levels are concurrency."""

    levels: tuple[int, ...] = (1, 2, 4, 8, 16)
    level_seconds: float = 60
    level_completions: int = 60
    level_cap_seconds: float = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoop:
    """rate × seconds requests, sent on time whatever the answers do. Rate is requests per second."""

    rate: float
    seconds: float
    spacing: Spacing = Spacing.CONSTANT
    cv: float = 1.0  # coefficient of variation of the gaps, for gamma only

    @property
    def planned(self) -> int:
        return round(self.rate * self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Limits in seconds and ratios. QPS passes at qps_ratio × qps."""

    ttft_p95: float = 7.0
    e2e_p95: float = 20.0
    error_rate: float = 0.005
    qps: float = 2.0
    qps_ratio: float = 0.9
    windows_met: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is asked. `source`: demo (built-in prompts), synthetic, upload (JSONL lines in `lines`) or replay (a route).

    Lengths are tokens; lognormal has `sigma` of the logarithm and is cut at four times the mean.
    """

    source: str = "demo"
    input_tokens: int = 256
    input_sigma: float = 0.0
    output_tokens: int = 128
    output_sigma: float = 0.0
    ignore_eos: bool = False
    salted: bool = True  # a unique beginning keeps prefix caches out; False is the warm-cache scenario
    temperature: float = 0.0
    lines: tuple[str, ...] = ()
    replay_route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Phases that are None are not run. Times in seconds."""

    name: str
    step: Step | None = field(default_factory=Step)
    spike: OpenLoop | None = field(default_factory=lambda: OpenLoop(rate=5, seconds=60))
    soak: OpenLoop | None = field(default_factory=lambda: OpenLoop(rate=2, seconds=1800))
    objectives: Objectives = field(default_factory=Objectives)
    workload: Workload = field(default_factory=Workload)
    mode: Mode = Mode.GATE
    warm_up_requests: int = 10
    warm_up_seconds: float = 120
    drain_seconds: float = 30
    request_timeout: float = 60
    in_flight_cap: int = 256
    window_seconds: float = 60
    window_minimum: int = 30

    @property
    def phases(self) -> tuple[Phase, ...]:
        return tuple(phase for phase in Phase if getattr(self, phase.value) is not None)


STANDARD = Policy(name="standard")
QUICK = Policy(
    name="quick",
    step=Step(levels=(1, 2, 4, 8), level_seconds=15, level_completions=15, level_cap_seconds=60),
    spike=OpenLoop(rate=5, seconds=20),
    soak=OpenLoop(rate=2, seconds=60),
    warm_up_seconds=30,
)
BUILT_IN = {policy.name: policy for policy in (STANDARD, QUICK)}


def to_json(policy: Policy) -> dict[str, Any]:
    return asdict(policy)


def from_json(body: Mapping[str, Any]) -> Policy:
    """Raises KeyError, TypeError or ValueError for a body that to_json did not write."""
    step, spike, soak = body["step"], body["spike"], body["soak"]
    return Policy(
        **{
            **body,
            "step": Step(**{**step, "levels": tuple(step["levels"])}) if step else None,
            "spike": _open_loop(spike),
            "soak": _open_loop(soak),
            "objectives": Objectives(**body["objectives"]),
            "workload": Workload(**{**body["workload"], "lines": tuple(body["workload"]["lines"])}),
            "mode": Mode(body["mode"]),
        }
    )


def digest(policy: Policy) -> str:
    """SHA-256 of the canonical JSON: two policies with one digest judge alike."""
    canonical = json.dumps(to_json(policy), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check(policy: Policy) -> None:
    """Raises InvalidPolicy."""
    if not policy.phases:
        raise InvalidPolicy("A policy needs at least one phase.")
    if policy.step is not None:
        _check_step(policy.step)
    for phase in (Phase.SPIKE, Phase.SOAK):
        spec = getattr(policy, phase.value)
        if spec is not None:
            _check_open_loop(phase, spec)
    for name, value in asdict(policy.objectives).items():
        if not value > 0:
            raise InvalidPolicy(f"objective {name} must be above 0.")
    for name in ("error_rate", "qps_ratio", "windows_met"):
        if getattr(policy.objectives, name) > 1:
            raise InvalidPolicy(f"objective {name} is a share: at most 1.")


def longest_seconds(policy: Policy) -> float:
    """The longest that a run can take: every level at its cap, every drain used."""
    step = policy.step
    levels = len(step.levels) * step.level_cap_seconds if step else 0.0
    loops = sum(spec.seconds for spec in (policy.spike, policy.soak) if spec is not None)
    return policy.warm_up_seconds + levels + loops + len(policy.phases) * (policy.drain_seconds + 15)


def _open_loop(body: Mapping[str, Any] | None) -> OpenLoop | None:
    return OpenLoop(**{**body, "spacing": Spacing(body["spacing"])}) if body else None


def _check_open_loop(phase: Phase, spec: OpenLoop) -> None:
    if not (0 < spec.rate <= 1000 and 0 < spec.seconds <= 86400 and spec.planned >= 1):
        raise InvalidPolicy(f"{phase}: the rate is above 0 to 1000 per second, the length above 0 to 86,400 s.")
    if spec.planned > MOST_PLANNED:
        raise InvalidPolicy(f"{phase}: rate times length is at most {MOST_PLANNED:,} requests.")
    if not 0 < spec.cv <= 10:
        raise InvalidPolicy(f"{phase}: the variation of the gaps is above 0 to 10.")


def _check_step(step: Step) -> None:
    if not step.levels or any(not 1 <= level <= 256 for level in step.levels):
        raise InvalidPolicy("step: levels are concurrencies from 1 to 256.")
    if list(step.levels) != sorted(set(step.levels)):
        raise InvalidPolicy("step: levels rise, each once.")
    if not 0 < step.level_seconds <= step.level_cap_seconds <= 3600 or step.level_completions < 1:
        raise InvalidPolicy("step: the length of a level is above 0 and at most its cap, which is at most 3,600 s.")
