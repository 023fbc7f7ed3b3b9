"""The states of a release: which change is allowed, on what, and the diagram that docs/releases.md shows. Pure."""

from enum import StrEnum

from gates.moves import Move, Moves, grouped


class State(StrEnum):
    DRAFT = "draft"
    GATING = "gating"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    SHIFTING = "shifting"
    BAKING = "baking"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    PROMOTED = "promoted"
    FINAL = "final"
    REJECTED = "rejected"
    ABORTED = "aborted"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class Pause(StrEnum):
    """Why a release is PAUSED. NO_TRAFFIC and BLIND end by themselves when data is back."""

    MANUAL = "manual"
    INCONCLUSIVE = "inconclusive"
    NO_TRAFFIC = "no_traffic"
    BLIND = "blind"
    SRM = "srm"  # the share observed is not the share asked for
    OVERRIDE = "override"  # somebody moved the weights by hand


class Cause(StrEnum):
    """Why a release rolls back. It decides the state in which it ends, and whether the candidate is blamed."""

    BLAME = "blame"
    PROTECT = "protect"
    OUTAGE = "outage"  # a gateway tripped the canary by itself
    BLIND = "blind"
    PROGRESS = "progress"  # a shift did not show within its deadline
    LEASE = "lease"  # the gateways took the weight back while nobody watched
    UNHEALTHY = "unhealthy"  # the candidate left rotation
    ABORT = "abort"
    REVERT = "revert"
    BY_HAND = "by_hand"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


S = State
TERMINAL = frozenset({S.ROLLED_BACK, S.FINAL, S.REJECTED, S.ABORTED, S.EXPIRED, S.SUPERSEDED})
BEFORE_TRAFFIC = (S.DRAFT, S.GATING, S.HELD)
WALKING = (S.AWAITING_APPROVAL, S.APPROVED, S.SHIFTING, S.BAKING, S.PAUSED, S.PROMOTED)
"""States that may hold canary weight above zero, the roll-back itself aside."""
UNWEIGHTED = (*BEFORE_TRAFFIC, S.AWAITING_APPROVAL, S.APPROVED, S.PAUSED)
"""States in which a release may be that never wrote a weight."""
ACTIVE = frozenset(State) - TERMINAL

ENDS = {
    Cause.ABORT: S.ABORTED,
    Cause.BY_HAND: S.ABORTED,
    Cause.REJECTED: S.REJECTED,
    Cause.EXPIRED: S.EXPIRED,
    Cause.SUPERSEDED: S.SUPERSEDED,
}
"""Where a roll-back ends by its cause; every other cause ends in ROLLED_BACK."""

TABLE = (
    Move(S.DRAFT, S.GATING, "it is started"),
    Move(S.GATING, S.AWAITING_APPROVAL, "the gate passed and the first stage asks for approval"),
    Move(S.GATING, S.APPROVED, "the gate passed and the policy lets it go by evidence"),
    Move(S.GATING, S.HELD, "the gate did not pass"),
    Move(S.HELD, S.GATING, "the gate runs again"),
    Move(S.HELD, S.AWAITING_APPROVAL, "an approver waives the gate"),
    Move(S.HELD, S.REJECTED, "an approver rejects it"),
    Move(S.AWAITING_APPROVAL, S.APPROVED, "an approver approves the target stage"),
    Move(S.AWAITING_APPROVAL, S.HELD, "its evidence went stale at weight 0"),
    Move(S.AWAITING_APPROVAL, S.REJECTED, "an approver rejects it at weight 0"),
    Move(S.AWAITING_APPROVAL, S.EXPIRED, "nobody decided in time at weight 0"),
    Move(S.AWAITING_APPROVAL, S.PAUSED, "something stopped the walk"),
    Move(S.APPROVED, S.SHIFTING, "the weight of the target stage is written"),
    Move(S.APPROVED, S.HELD, "something it was bound to changed at weight 0"),
    Move(S.APPROVED, S.AWAITING_APPROVAL, "something it was bound to changed at weight above 0"),
    Move(S.APPROVED, S.PAUSED, "something stopped the walk"),
    Move(S.SHIFTING, S.BAKING, "the observed share is the share asked for"),
    Move(S.SHIFTING, S.PROMOTED, "the observed share is 100 %"),
    Move(S.SHIFTING, S.PAUSED, "something stopped the walk"),
    Move(S.BAKING, S.AWAITING_APPROVAL, "dwell and samples are met and the next stage asks for approval"),
    Move(S.BAKING, S.APPROVED, "dwell and samples are met and the next stage goes by evidence"),
    Move(S.BAKING, S.PAUSED, "something stopped the walk"),
    Move(S.PAUSED, S.AWAITING_APPROVAL, "it is resumed where it waited for approval"),
    Move(S.PAUSED, S.APPROVED, "it is resumed where it was approved"),
    Move(S.PAUSED, S.SHIFTING, "it is resumed while it was shifting"),
    Move(S.PAUSED, S.BAKING, "it is resumed while it was baking"),
    Move(S.PAUSED, S.PROMOTED, "it is resumed after its promotion"),
    Move(S.PROMOTED, S.FINAL, "the watch after promotion is over"),
    Move(S.PROMOTED, S.PAUSED, "something stopped the watch"),
    *(Move(state, S.ROLLING_BACK, "its canary weight has to go") for state in WALKING),
    Move(S.ROLLING_BACK, S.ROLLED_BACK, "no request reaches the canary any more"),
    Move(S.ROLLING_BACK, S.ABORTED, "a person asked for it and no request reaches the canary any more"),
    Move(S.ROLLING_BACK, S.REJECTED, "it was rejected and no request reaches the canary any more"),
    Move(S.ROLLING_BACK, S.EXPIRED, "its approval expired and no request reaches the canary any more"),
    Move(S.ROLLING_BACK, S.SUPERSEDED, "a newer release waits and no request reaches the canary any more"),
    *(Move(state, S.ABORTED, "a person aborts it before it had weight") for state in UNWEIGHTED),
    *(Move(state, S.SUPERSEDED, "a newer release takes its place before it had weight") for state in UNWEIGHTED),
)
_MOVES = Moves("release", TABLE)
allowed = _MOVES.allowed
check = _MOVES.check


def end_of(cause: Cause) -> State:
    """The state in which a roll-back for this cause ends."""
    return ENDS.get(cause, S.ROLLED_BACK)


def diagram() -> str:
    """The table as a Mermaid state diagram; what every walking state shares is drawn once, as a group."""
    shared = (S.PAUSED, S.ROLLING_BACK)
    return grouped(TABLE, WALKING, shared, label="may hold canary weight", first=S.DRAFT, ends=TERMINAL)
