"""What the controller does for runs each 5 s: bury those whose process is gone, start those that only wait."""

from datetime import datetime

from gates import journal, runs, studies
from gates.actions import publish
from gates.failover.actions import sweep
from gates.models import GateRun
from gates.runs import State

GONE = "Its process fell silent: the worker or its machine is gone. Resume it; finished phases are kept."


def reap(now: datetime) -> None:
    sweep(now)
    studies.reap(now)
    for run in GateRun.objects.filter(state__in=runs.ACTIVE, lease_until__lt=now):
        journal.bury(run, GONE, now)
    for run in GateRun.objects.filter(state=State.QUEUED).order_by("pk"):
        if not publish(run, now):
            break  # one wait for a broker that is down is enough
