"""The states of a study. A process has it while it is held; then it loads its engines."""

from enum import StrEnum


class State(StrEnum):
    """CANCELLING: its process has been asked to stop the load."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    ERRORED = "errored"
    CANCELLED = "cancelled"


HELD = (State.RUNNING, State.CANCELLING)
OVER = (State.DONE, State.ERRORED, State.CANCELLED)
