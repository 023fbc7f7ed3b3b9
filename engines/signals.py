"""What engines tell the apps above, sent inside the transaction of the change."""

from django.dispatch import Signal

# action, subject, actor, reason, before, after (see engines.actions.announce)
changed = Signal()

# The same for what no gateway has to hear of: launch profiles. Only the audit listens.
noted = Signal()
