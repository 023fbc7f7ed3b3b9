"""A fake supervisor: programs in a dictionary instead of processes. Never used outside tests."""

import time

from console.processes import Process
from console.supervise import NoSupervisor, State


class FakeSupervisor:
    """`broken` makes every call fail as a supervisor that went away does."""

    def __init__(self, *, broken: bool = False) -> None:
        self.programs: dict[str, Process] = {}
        self.state = "RUNNING"
        self.broken = broken

    def states(self) -> dict[str, State]:
        self._check()
        return {name: State(name=name, state=self.state, pid=1, since=time.time(), words="") for name in self.programs}

    def add(self, process: Process) -> None:
        self._check()
        self.programs[process.name] = process

    def remove(self, name: str, seconds: float) -> None:
        self._check()
        self.programs.pop(name, None)

    def _check(self) -> None:
        if self.broken:
            raise NoSupervisor("Nothing runs under supervisor here.")
