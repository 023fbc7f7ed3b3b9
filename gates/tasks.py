"""Tasks of the worker: the message carries a run's id; its own process does the work and owns the row."""

import subprocess
import sys

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from gates.holder import holder_of
from gates.journal import abandon
from gates.study_journal import finish
from gates.study_states import State


@shared_task(name="gates.start_gate_run", ignore_result=True)  # type: ignore[untyped-decorator]
def start_gate_run(run_id: int) -> None:
    """No time limit: the plan has its own end. A run that is not queued any more ends the process at once."""
    command = [sys.executable, "manage.py", "gate", "execute", str(run_id)]
    with subprocess.Popen(command, cwd=settings.BASE_DIR) as child:  # noqa: S603
        code = child.wait()
    abandon(run_id, holder_of(child.pid), f"Its process ended with code {code}.", timezone.now())


@shared_task(name="gates.start_gate_study", ignore_result=True)  # type: ignore[untyped-decorator]
def start_gate_study(study_id: int) -> None:
    """No time limit, as above: a search ends by its number of probes."""
    command = [sys.executable, "manage.py", "gate", "study", str(study_id)]
    with subprocess.Popen(command, cwd=settings.BASE_DIR) as child:  # noqa: S603
        code = child.wait()
    reason = f"Its process ended with code {code}. Start the study again."
    finish(study_id, holder_of(child.pid), State.ERRORED, reason=reason, now=timezone.now())


@shared_task(name="gates.start_failover", ignore_result=True)  # type: ignore[untyped-decorator]
def start_failover(run_id: int) -> None:
    """What the process leaves behind when it dies is swept up by the controller."""
    command = [sys.executable, "manage.py", "failover", "execute", str(run_id)]
    subprocess.run(command, cwd=settings.BASE_DIR, check=False)  # noqa: S603
