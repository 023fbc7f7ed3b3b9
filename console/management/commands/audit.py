"""`manage.py audit`: check that the audit chain holds."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.audit import first_broken
from console.models import AuditEvent


class Command(BaseCommand):
    help = "Recompute every hash of the audit; exit 1 and name the first row that does not hold."

    def handle(self, *_args: Any, **_options: Any) -> None:
        broken = first_broken()
        if broken is not None:
            raise CommandError(f"The chain breaks at row {broken}.")
        self.stdout.write(f"{AuditEvent.objects.count()} rows, the chain holds.")
