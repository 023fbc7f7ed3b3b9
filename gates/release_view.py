"""What a release is decided from, and what a decision is. Values only."""

from dataclasses import dataclass
from enum import StrEnum

from gates.detectors.bank import Alarm
from gates.detectors.events import Objective
from gates.releases import Cause, Pause, State


class Gate(StrEnum):
    """How the gate run of a release stands."""

    RUNNING = "running"
    PASSED = "passed"
    NOT_PASSED = "not_passed"


class Act(StrEnum):
    """What a step does beside the change of state."""

    NOTHING = "nothing"
    ASK = "ask"  # request an approval of the target
    SHIFT = "shift"  # write the target's weight
    ZERO = "zero"  # take all weight
    FINALISE = "finalise"
    END = "end"  # give the route back
    VOID = "void"  # the open approval is stale
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at a release. Times are seconds; None is "not known", never 0."""

    state: State
    stage: int = 0
    target: int = 0
    pause: Pause | None = None
    resume_to: State | None = None
    cause: Cause | None = None
    in_state: float = 0.0
    in_stage: float = 0.0
    # The gate and what approvals are bound to.
    gate: Gate = Gate.RUNNING
    gate_words: str = ""
    weak: bool = False  # a THIN or DOUBTFUL grade
    waived: bool = False
    drift: str = ""  # what changed since the evidence, in words
    approval_expired: bool = False
    # The route.
    weight: int = 0
    ours: bool = True  # owner and epoch are those that this release wrote last
    route_free: bool = True
    lease_age: float | None = None
    acknowledged: bool = False
    tripped: str = ""
    # What the traffic shows.
    blind: int = 0  # failed evaluations in a row
    blind_for: float = 0.0
    idle_for: float = 0.0
    assigned: int = 0
    on_canary: int = 0
    samples: int = 0  # canary requests of this stage
    alarm: tuple[Alarm, Objective | None] | None = None
    candidate_out: int = 0  # looks in a row that found no replica in rotation
    baseline_out: bool = False
    # The way back.
    reached: int | None = None  # requests that still reached the canary since every gateway knew
    streams_open: int = 0
    clear_polls: int = 0
    cooling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """To `after`, because of `reason` (a sentence for the journal)."""

    after: State
    reason: str
    act: Act = Act.NOTHING
    target: int | None = None
    pause: Pause | None = None
    cause: Cause | None = None
