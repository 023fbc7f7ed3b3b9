"""Deliveries that are due go out: signed webhooks by ourselves, everything else by apprise; failures wait longer."""

import logging
from datetime import datetime, timedelta

import apprise
from django.conf import settings
from django.db import transaction

from console.models import Channel, Delivery
from console.notify import webhook
from console.notify.webhook import NotSent
from engines.sealing import SealBroken, unseal

log = logging.getLogger(__name__)

BACK_OFF = (10, 30, 120, 600, 3600)
AT_ONCE = 20
HELD_SECONDS = 60  # a sender that dies in between is followed by another after that


def due(now: datetime) -> int:
    """Send what is due; how many went out. Two senders never send one delivery: each claims it first."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines hold addresses with tokens
    rows = Delivery.objects.filter(state=Delivery.State.QUEUED, next_at__lte=now, channel__enabled=True)
    return sum(_one(row, now) for row in rows.select_related("channel").order_by("next_at")[:AT_ONCE])


def _one(row: Delivery, now: datetime) -> bool:
    claimed = Delivery.objects.filter(pk=row.pk, state=Delivery.State.QUEUED, next_at=row.next_at).update(
        next_at=now + timedelta(seconds=HELD_SECONDS), attempts=row.attempts + 1
    )
    if not claimed:
        return False
    try:
        deliver(row.channel, row, now)
    except (NotSent, SealBroken) as failure:
        _failed(row, str(failure), now)
        return False
    Delivery.objects.filter(pk=row.pk).update(state=Delivery.State.SENT, sent_at=now, last_error="")
    return True


def deliver(channel: Channel, row: Delivery, now: datetime) -> None:
    """Raises NotSent, SealBroken."""
    url = unseal(channel.sealed_url, settings.FERNET_KEY) or ""
    if channel.kind == Channel.Kind.WEBHOOK:
        secret = unseal(channel.sealed_secret, settings.FERNET_KEY) or ""
        body = {"id": row.key, "action": row.action, "title": row.title, "text": row.text, "facts": row.facts}
        webhook.post(url, secret, body, at=int(now.timestamp()), allowed=settings.NOTIFY_NETWORKS)
        return
    service = apprise.Apprise()
    if not service.add(url):
        raise NotSent("Apprise does not know this kind of address.")
    if not service.notify(body=row.text, title=row.title):
        raise NotSent("The service did not take the message.")


@transaction.atomic
def _failed(row: Delivery, why: str, now: datetime) -> None:
    used_up = row.attempts >= len(BACK_OFF)
    wait = timedelta(seconds=BACK_OFF[min(row.attempts, len(BACK_OFF) - 1)])
    state = Delivery.State.FAILED if used_up else Delivery.State.QUEUED
    Delivery.objects.filter(pk=row.pk).update(state=state, last_error=why[:200], next_at=now + wait)
    log.warning("A notification to %s did not go out: %s", row.channel.name, why)
