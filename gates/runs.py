"""The states of a gate run: which change is allowed, on what, and the diagram that docs/gates.md shows. Pure."""

from enum import StrEnum

from gates.moves import Move, Moves, grouped
from gates.verdict import Verdict


class State(StrEnum):
    QUEUED = "queued"
    PREFLIGHT = "preflight"
    WARMING = "warming"
    RUNNING = "running"
    DRAINING = "draining"
    COOLING = "cooling"
    JUDGING = "judging"
    CANCELLING = "cancelling"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"
    ERRORED = "errored"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


S = State
LOADING = (S.PREFLIGHT, S.WARMING, S.RUNNING, S.DRAINING, S.COOLING, S.JUDGING)
ACTIVE = frozenset({*LOADING, S.CANCELLING})
"""States in which a process holds the run by a lease."""
VERDICTS = frozenset(State(verdict.value) for verdict in Verdict)
RESUMABLE = frozenset({S.INTERRUPTED, S.ERRORED})
OVER = VERDICTS | {S.INTERRUPTED}
"""States in which nothing happens unless somebody resumes the run."""

TABLE = (
    Move(S.QUEUED, S.PREFLIGHT, "a process claims it and no other run tests the engine"),
    Move(S.QUEUED, S.CANCELLED, "an operator cancels"),
    Move(S.PREFLIGHT, S.WARMING, "the target answers and the generator is fit"),
    Move(S.PREFLIGHT, S.JUDGING, "it was resumed with every phase finished"),
    Move(S.PREFLIGHT, S.INVALID, "the generator is unfit or the plan is not the one it began with"),
    Move(S.WARMING, S.RUNNING, "answers are steady"),
    Move(S.RUNNING, S.DRAINING, "the last request of the phase was due"),
    Move(S.RUNNING, S.COOLING, "the phase ended"),
    Move(S.DRAINING, S.COOLING, "every request ended or met its deadline"),
    Move(S.COOLING, S.RUNNING, "the engine is idle and a phase is left"),
    Move(S.COOLING, S.JUDGING, "no phase is left"),
    Move(S.JUDGING, S.PASSED, "every objective is met"),
    Move(S.JUDGING, S.FAILED, "an objective is broken"),
    Move(S.JUDGING, S.INCONCLUSIVE, "there is too little data"),
    Move(S.JUDGING, S.INVALID, "the evidence is unusable"),
    *(Move(state, S.CANCELLING, "an operator cancels") for state in LOADING),
    Move(S.CANCELLING, S.CANCELLED, "the load is gone"),
    *(Move(state, S.ERRORED, "the target cannot be reached or the run broke") for state in LOADING),
    *(Move(state, S.INTERRUPTED, "its process is gone") for state in LOADING),
    Move(S.INTERRUPTED, S.QUEUED, "an operator resumes"),
    Move(S.INTERRUPTED, S.CANCELLED, "an operator cancels"),
    Move(S.ERRORED, S.QUEUED, "an operator resumes"),
)
_MOVES = Moves("run", TABLE)
allowed = _MOVES.allowed
check = _MOVES.check


def after_death(*, cancel_requested: bool) -> State:
    """What a run becomes whose process fell silent: with it the load is gone, so a cancel is then done."""
    return S.CANCELLED if cancel_requested else S.INTERRUPTED


def diagram() -> str:
    """The table as a Mermaid state diagram; the moves that every loading state shares are drawn once, as a group."""
    shared = (S.CANCELLING, S.ERRORED, S.INTERRUPTED)
    return grouped(TABLE, LOADING, shared, label="with a lease", first=S.QUEUED, ends=VERDICTS - RESUMABLE)
