"""A run for a pipeline: executed in a process of our own, followed to its end, cancelled by Ctrl-C."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils import timezone

from console.terminal import local_actor
from gates import actions, journal, runs
from gates.holder import holder_of
from gates.models import GateEvent, GateRun
from gates.runs import State

EXIT = {
    State.PASSED: 0,
    State.FAILED: 1,
    State.INVALID: 2,
    State.INCONCLUSIVE: 3,
    State.ERRORED: 4,
    State.INTERRUPTED: 4,
    State.CANCELLED: 130,
}
INFRASTRUCTURE = 4
LOOK_SECONDS = 0.5
MOST_STARTS = 3

Say = Callable[[str], object]


class WillNotStart(Exception):
    """The process that should execute the run ends before it has taken it."""


class Pipeline:
    """The executor is a process with a session of its own: a Ctrl-C here reaches it as a cancel, not as a signal."""

    def __init__(self, run_id: int, say: Say) -> None:
        self.run_id, self.say = run_id, say
        self.child: subprocess.Popen[bytes] | None = None
        self._asked = self._told = False
        self._starts = 0
        self._said = ("", 0)

    def follow(self) -> State:
        """The state it ended in. Raises WillNotStart."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while True:
                run = GateRun.objects.get(pk=self.run_id)
                self._tell(run)
                if run.state in runs.OVER:
                    return State(run.state)
                if self._asked and not self._told:
                    self._told = True
                    actions.request_cancel(run, actor=local_actor(), reason="command line")
                elif run.state == State.QUEUED:
                    self._start(run)
                elif self.child is not None and self.child.poll() is not None:
                    code = self.child.returncode
                    journal.abandon(
                        run.pk, holder_of(self.child.pid), f"Its process ended with code {code}.", timezone.now()
                    )
                time.sleep(LOOK_SECONDS)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self.child is not None:
                self.child.wait()

    def _start(self, run: GateRun) -> None:
        if self.child is not None and self.child.poll() is None:
            return
        other = journal.blocker(run)
        if other is not None:
            journal.wait(run.pk, journal.waiting_reason(other))
            return
        if self._starts == MOST_STARTS:
            raise WillNotStart(f"Run {run.pk} cannot be executed here: its process ended {MOST_STARTS} times at once.")
        self._starts += 1
        command = [sys.executable, "manage.py", "gate", "execute", str(run.pk)]
        self.child = subprocess.Popen(  # noqa: S603
            command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _tell(self, run: GateRun) -> None:
        """New events, and why a queued run waits; each once."""
        waits, last = self._said
        if run.state == State.QUEUED and run.reason and run.reason != waits:
            self.say(run.reason)
        events = GateEvent.objects.filter(run=run, pk__gt=last).order_by("pk")
        for event in events:
            self.say(f"{event.at:%H:%M:%S} {event.text}")
            last = event.pk
        self._said = (run.reason, last)

    def _ask(self, *_: Any) -> None:
        self._asked = True
