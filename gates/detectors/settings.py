"""What a release policy says of its detectors: false-alarm budgets and blocks. Pure."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gates.detectors.events import Objective


class InvalidDetectors(ValueError):
    """The settings cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings:
    """Probabilities of a false alarm per release, and the blocks of the absolute test.

    `block_requests` and `block_seconds`: a block ends when both are reached. `late_share` is what a P95 objective
    allows, `error_rate` what the error objective allows. `drift` is the mean time between false alarms of the watch
    after the promotion, in requests.
    """

    blame_errors: float = 0.002
    blame_ttft: float = 0.0015
    blame_e2e: float = 0.0015
    protect_errors: float = 0.005 / 3
    protect_ttft: float = 0.005 / 3
    protect_e2e: float = 0.005 / 3
    srm: float = 0.001
    block_requests: int = 60
    block_seconds: float = 60
    error_rate: float = 0.005
    late_share: float = 0.05
    drift: float = 1e5

    def blame_line(self, objective: Objective) -> float:
        """log10 of the e-value at which the canary is blamed."""
        return -math.log10(float(getattr(self, f"blame_{objective}")))

    def protect_line(self, objective: Objective) -> float:
        return -math.log10(float(getattr(self, f"protect_{objective}")))

    @property
    def ratio_line(self) -> float:
        return -math.log10(self.srm)

    @property
    def drift_line(self) -> float:
        return math.log10(self.drift)

    def allowed(self, objective: Objective) -> float:
        return self.error_rate if objective is Objective.ERRORS else self.late_share

    @property
    def budget(self) -> float:
        """Of both detectors together; the sample-ratio test pauses and is not part of it."""
        return sum(
            float(getattr(self, f"{test}_{objective}")) for test in ("blame", "protect") for objective in Objective
        )


def to_json(settings: DetectorSettings) -> dict[str, Any]:
    return asdict(settings)


def from_json(body: Mapping[str, Any]) -> DetectorSettings:
    """Raises TypeError for a body that to_json did not write."""
    return DetectorSettings(**body)


def check(settings: DetectorSettings) -> None:
    """Raises InvalidDetectors."""
    for name, value in asdict(settings).items():
        if not value > 0:
            raise InvalidDetectors(f"{name} is above 0.")
    for name in ("error_rate", "late_share", "srm"):
        if getattr(settings, name) >= 1:
            raise InvalidDetectors(f"{name} is a share below 1.")
    if settings.budget > 0.05:
        raise InvalidDetectors("The false-alarm budget of a release is at most 5 %.")
