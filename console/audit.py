"""The audit chain: one row per change, in the transaction of the change, each sealing the one before."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from console.models import AuditEvent, AuditHead
from engines.actors import Actor

ATTEMPTS = 20


class ChainBusy(Exception):
    """The head kept moving: nothing was written, the change is rolled back with it."""


@transaction.atomic
def record(
    *,
    action: str,
    subject: str,
    actor: Actor,
    reason: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    **_: object,
) -> AuditEvent:
    """Receiver of every app's `changed` signal."""
    AuditHead.objects.get_or_create(pk=1)
    for _attempt in range(ATTEMPTS):
        head = AuditHead.objects.get(pk=1)
        event = AuditEvent(
            sequence=head.sequence + 1,
            at=timezone.now(),
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            subject=subject,
            reason=reason,
            before=dict(before),
            after=dict(after),
            previous_hash=head.hash,
        )
        event.hash = digest(event)
        moved = AuditHead.objects.filter(pk=1, sequence=head.sequence).update(sequence=event.sequence, hash=event.hash)
        if moved:
            event.save(force_insert=True)
            return event
    raise ChainBusy(subject)


def digest(event: AuditEvent) -> str:
    """SHA-256 over the row and the hash before it, in canonical JSON."""
    sealed = [
        event.previous_hash,
        event.sequence,
        _stamp(event.at),
        event.actor_kind,
        event.actor_id,
        event.actor_name,
        event.action,
        event.subject,
        event.reason,
        event.before,
        event.after,
    ]
    return hashlib.sha256(json.dumps(sealed, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def first_broken() -> int | None:
    """The sequence number at which the chain does not hold, or None when it does."""
    previous, expected = "", 1
    for event in AuditEvent.objects.order_by("sequence").iterator():
        if event.sequence != expected or event.previous_hash != previous or event.hash != digest(event):
            return event.sequence
        previous, expected = event.hash, expected + 1
    head = AuditHead.objects.filter(pk=1).first()
    if head is not None and head.sequence != expected - 1:
        return expected
    return None


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
