"""What gates tell the console, sent inside the transaction of the change."""

from django.dispatch import Signal

# action, subject, actor, reason, before, after
changed = Signal()
