"""What engines tell the apps above, sent inside the transaction of the change."""

from django.dispatch import Signal

# action, subject, actor, reason, before, after (see engines.actions.announce)
changed = Signal()
