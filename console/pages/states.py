"""One word for the state of an engine, from what is declared of it and what the probes saw. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

HEALTHY_FROM = 0.8
# Three probes missed: what is shown is last known, not current.
STALE_AFTER = timedelta(seconds=15)


class Word(StrEnum):
    """What a person reads. The value is the text."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    OUT = "Out of rotation"
    UNREACHABLE = "Unreachable"
    DRAINING = "Draining"
    DISABLED = "Disabled"
    UNPROBED = "Not probed yet"


# Word → data-state of the status component.
TONE = {
    Word.HEALTHY: "ok",
    Word.DEGRADED: "warn",
    Word.OUT: "fail",
    Word.UNREACHABLE: "fail",
    Word.DRAINING: "hold",
    Word.DISABLED: "idle",
    Word.UNPROBED: "idle",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSeen:
    """The last probe of one replica. `answered` says whether that probe got a good answer."""

    score: float | None
    in_rotation: bool
    probed_at: datetime | None
    answered: bool


@dataclass(frozen=True, slots=True)
class EngineState:
    word: Word
    stale: bool = False

    @property
    def tone(self) -> str:
        return TONE[self.word]


def engine_state(*, declared: str, replicas: Sequence[ReplicaSeen], now: datetime) -> EngineState:
    """`declared` is Engine.State: an operator's word goes before what the probes say."""
    probed = [replica for replica in replicas if replica.probed_at is not None]
    stale = bool(probed) and all(now - replica.probed_at > STALE_AFTER for replica in probed if replica.probed_at)
    if declared == "disabled":
        return EngineState(Word.DISABLED, stale)
    if declared == "draining":
        return EngineState(Word.DRAINING, stale)
    if not probed:
        return EngineState(Word.UNPROBED)
    return EngineState(_seen(probed), stale)


def _seen(replicas: Sequence[ReplicaSeen]) -> Word:
    if all(replica.in_rotation and (replica.score or 0) >= HEALTHY_FROM for replica in replicas):
        return Word.HEALTHY
    if any(replica.in_rotation for replica in replicas):
        return Word.DEGRADED
    if any(replica.answered for replica in replicas):
        return Word.OUT
    return Word.UNREACHABLE
