"""The release policy: stages, approvals, dwell, samples and deadlines, as one immutable value with a digest. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gates.detectors import settings as detector_settings
from gates.detectors.settings import DetectorSettings, InvalidDetectors


class InvalidReleasePolicy(ValueError):
    """The policy cannot be followed; the message says which field and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the walk: `weight` per cent, kept for at least `dwell_seconds` and `min_samples` canary requests.

    `approval`: a person is asked before this weight is written. The last stage is the promotion: its dwell is the
    watch, and its `min_samples` must have come before the release is final.
    """

    weight: int
    dwell_seconds: float
    min_samples: int
    approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Mirror `percent` of the route's requests to the candidate before the first stage, off the response path."""

    percent: int = 10
    dwell_seconds: float = 600
    min_samples: int = 100
    max_error_rate: float = 0.005
    max_latency_ratio: float = 1.5  # candidate's median E2E over the baseline's


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePolicy:
    """Times in seconds. `gate_policy` names the gate policy whose newest version the candidate must pass."""

    name: str
    gate_policy: str = "standard"
    stages: tuple[Stage, ...] = (
        Stage(weight=10, dwell_seconds=600, min_samples=130, approval=True),
        Stage(weight=50, dwell_seconds=900, min_samples=600),
        Stage(weight=100, dwell_seconds=1800, min_samples=600, approval=True),
    )
    shadow: Shadow | None = None
    auto_promote: bool = False  # no approvals at all, and then only on PASSED without THIN or DOUBTFUL
    evaluate_seconds: float = 2
    approval_seconds: float = 86400
    evidence_seconds: float = 7 * 86400  # older gate runs prove nothing
    progress_seconds: float = 600  # a shift must be observed by then, a bake must have its samples by 6 × that
    no_traffic_seconds: float = 600
    blind_evaluations: int = 4  # more failed evaluations in a row than this pause the walk
    blind_seconds: float = 300  # this long unreadable with weight above 0 rolls back
    drain_seconds: float = 60  # streams of a rolled back canary are cut then
    cooldown_seconds: float = 900  # the same candidate may not shift again sooner after a roll-back
    rollback_polls: int = 3  # consecutive looks that must see share 0
    detectors: DetectorSettings = field(default_factory=DetectorSettings)

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(stage.weight for stage in self.stages)


STANDARD = ReleasePolicy(name="standard")
DEMO = ReleasePolicy(
    name="demo",
    gate_policy="quick",
    stages=(
        Stage(weight=10, dwell_seconds=8, min_samples=5, approval=True),
        Stage(weight=50, dwell_seconds=8, min_samples=15),
        Stage(weight=100, dwell_seconds=10, min_samples=20, approval=True),
    ),
    approval_seconds=3600,
    progress_seconds=120,
    no_traffic_seconds=60,
    blind_seconds=60,
    drain_seconds=20,
    cooldown_seconds=30,
)
# From one kind of engine to another: half of the traffic on each, long enough to compare them, then all of it.
MIGRATE = ReleasePolicy(
    name="migrate",
    stages=(
        Stage(weight=50, dwell_seconds=3600, min_samples=1500, approval=True),
        Stage(weight=100, dwell_seconds=3600, min_samples=1500, approval=True),
    ),
)
BUILT_IN = {policy.name: policy for policy in (STANDARD, DEMO, MIGRATE)}


def to_json(policy: ReleasePolicy) -> dict[str, Any]:
    return asdict(policy)


def from_json(body: Mapping[str, Any]) -> ReleasePolicy:
    """Raises KeyError, TypeError or ValueError for a body that to_json did not write."""
    shadow = body["shadow"]
    return ReleasePolicy(
        **{
            **body,
            "stages": tuple(Stage(**stage) for stage in body["stages"]),
            "shadow": Shadow(**shadow) if shadow else None,
            "detectors": DetectorSettings(**body["detectors"]),
        }
    )


def digest(policy: ReleasePolicy) -> str:
    """SHA-256 of the canonical JSON."""
    canonical = json.dumps(to_json(policy), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check(policy: ReleasePolicy) -> None:
    """Raises InvalidReleasePolicy."""
    weights = policy.weights
    if not weights or weights[-1] != 100 or list(weights) != sorted(set(weights)) or weights[0] < 1:
        raise InvalidReleasePolicy("stages: weights rise from at least 1 to exactly 100, each once.")
    for stage in policy.stages:
        if stage.dwell_seconds < 0 or stage.min_samples < 1:
            raise InvalidReleasePolicy(f"stage {stage.weight} %: dwell is 0 s or more, samples 1 or more.")
    for name, value in asdict(policy).items():
        if name.endswith("_seconds") and not 0 < value <= 30 * 86400:
            raise InvalidReleasePolicy(f"{name} is above 0 s and at most 30 days.")
    if policy.blind_evaluations < 1 or policy.rollback_polls < 1:
        raise InvalidReleasePolicy("blind_evaluations and rollback_polls are 1 or more.")
    if policy.shadow is not None:
        # A policy must never say what the controller does not do.
        raise InvalidReleasePolicy("shadow: there is no shadow stage yet; leave it out.")
    try:
        detector_settings.check(policy.detectors)
    except InvalidDetectors as bad:
        raise InvalidReleasePolicy(f"detectors: {bad}") from bad
