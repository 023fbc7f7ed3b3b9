"""Tasks of the worker: the message carries a run's id; its own process does the work and owns the row."""

import subprocess
import sys

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from gates.holder import holder_of
from gates.journal import abandon


@shared_task(name="gates.start_gate_run", ignore_result=True)  # type: ignore[untyped-decorator]
def start_gate_run(run_id: int) -> None:
    """No time limit: the plan has its own end. A run that is not queued any more ends the process at once."""
    command = [sys.executable, "manage.py", "gate", "execute", str(run_id)]
    with subprocess.Popen(command, cwd=settings.BASE_DIR) as child:  # noqa: S603
        code = child.wait()
    abandon(run_id, holder_of(child.pid), f"Its process ended with code {code}.", timezone.now())
