"""The states of a gate run: which change is allowed, on what, and the diagram that docs/gates.md shows. Pure."""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Move:
    """One allowed change of state. `when` completes the sentence "it goes there when …"."""

    before: State
    after: State
    when: str


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
_ALLOWED = frozenset((move.before, move.after) for move in TABLE)


class Forbidden(ValueError):
    """The table has no such change."""

    def __init__(self, before: State, after: State) -> None:
        super().__init__(f"A run that is {before} cannot become {after}.")


def allowed(before: State, after: State) -> bool:
    return (before, after) in _ALLOWED


def check(before: State, after: State) -> None:
    """Raises Forbidden."""
    if not allowed(before, after):
        raise Forbidden(before, after)


def after_death(*, cancel_requested: bool) -> State:
    """What a run becomes whose process fell silent: with it the load is gone, so a cancel is then done."""
    return S.CANCELLED if cancel_requested else S.INTERRUPTED


def diagram() -> str:
    """The table as a Mermaid state diagram; the moves that every loading state shares are drawn once, as a group."""
    shared = {S.CANCELLING, S.ERRORED, S.INTERRUPTED}
    grouped = {move.after: move.when for move in TABLE if move.before in LOADING and move.after in shared}
    inner = [move for move in TABLE if move.before in LOADING and move.after in LOADING]
    outer = [move for move in TABLE if move not in inner and not (move.before in LOADING and move.after in shared)]
    lines = ["stateDiagram-v2", "    [*] --> queued", '    state "with a lease" as held {']
    lines += [f"        {move.before} --> {move.after}: {move.when}" for move in inner]
    lines += ["    }"]
    lines += [f"    held --> {after}: {when}" for after, when in grouped.items()]
    lines += [f"    {move.before} --> {move.after}: {move.when}" for move in outer]
    lines += [f"    {state} --> [*]" for state in sorted(VERDICTS - RESUMABLE)]
    return "\n".join(lines)
