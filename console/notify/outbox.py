"""Audit rows and moments on their way to the channels: each becomes one delivery per channel that wants it, once."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from console.models import AuditEvent, Channel, Delivery, OutboxCursor
from console.notify import render

log = logging.getLogger(__name__)

BATCH = 200


@transaction.atomic
def collect(now: datetime) -> int:
    """New audit rows become deliveries. The cursor moves in the same transaction, so none is lost or doubled."""
    OutboxCursor.objects.get_or_create(pk=1, defaults={"sequence": _newest()})
    cursor = OutboxCursor.objects.select_for_update().get(pk=1)
    events = list(AuditEvent.objects.filter(sequence__gt=cursor.sequence).order_by("sequence")[:BATCH])
    if not events:
        return 0
    made = sum(_queued(event, now) for event in events)
    OutboxCursor.objects.filter(pk=1).update(sequence=events[-1].sequence)
    return made


@transaction.atomic
def tell(action: str, subject: str, *, key: str, text: str, now: datetime, facts: Mapping[str, Any]) -> int:
    """Something that no audit row stands for, such as an engine that left rotation. Again with one `key`: nothing."""
    return _queue(
        action, key=key, title=render.title(action, subject), now=now, facts={**facts, "subject": subject},
        text=f"{text}\n{render.address(settings.CONSOLE_URL, subject)}",
    )  # fmt: skip


def _queued(event: AuditEvent, now: datetime) -> int:
    """A row that cannot be told of must not keep those behind it waiting for ever."""
    try:
        return _queue_event(event, now)
    except (TypeError, ValueError, KeyError, AttributeError):
        log.exception("No message could be made of audit row %d (%s); it is passed over.", event.sequence, event.action)
        return 0


def _queue_event(event: AuditEvent, now: datetime) -> int:
    address = render.address(settings.CONSOLE_URL, event.subject)
    return _queue(
        event.action, key=f"audit:{event.sequence}", title=render.title(event.action, event.subject), now=now,
        text=render.text(actor=event.actor_name, reason=event.reason, after=event.after, address=address),
        facts={"subject": event.subject, "actor": event.actor_name, "reason": event.reason, "after": event.after,
               "at": event.at.isoformat()},
    )  # fmt: skip


def _queue(action: str, *, key: str, title: str, text: str, now: datetime, facts: Mapping[str, Any]) -> int:
    channels = [row for row in Channel.objects.filter(enabled=True) if render.wanted(row.events, action)]
    rows = [
        Delivery(
            channel=channel, key=key, action=action, title=title[:200], text=text[:1000], facts=dict(facts),
            next_at=now, created_at=now,
        )
        for channel in channels
    ]  # fmt: skip
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _newest() -> int:
    """A cursor that is made now begins now: history is not sent out."""
    last = AuditEvent.objects.order_by("-sequence").first()
    return last.sequence if last else 0
