"""Deliveries that are due go out: signed webhooks by ourselves, everything else by apprise; failures wait longer."""

import ipaddress
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import apprise
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F

from console.models import Channel, Delivery
from console.notify import webhook
from console.notify.addresses import NotSent, callable_, looked_up
from engines.sealing import SealBroken, unseal

log = logging.getLogger(__name__)

BACK_OFF = (10, 30, 120, 600, 3600)
AT_ONCE = 20  # to one channel, before the others have their turn again
HELD_SECONDS = 60  # a sender that dies in between is followed by another after that
MAIL_PORT = 25

Run = Callable[[int, Callable[[], None]], None]
"""Runs the work of one channel, now or beside."""


def inline(_channel: int, work: Callable[[], None]) -> None:
    work()


class OnePerChannel:
    """Each channel has a thread of its own while it is sent to, so that a slow receiver delays nobody else."""

    def __init__(self) -> None:
        self._busy: set[int] = set()

    def __call__(self, channel: int, work: Callable[[], None]) -> None:
        if channel in self._busy:
            return
        self._busy.add(channel)
        name = f"notify-{channel}"
        threading.Thread(target=self._run, args=(channel, work), name=name, daemon=True).start()

    def _run(self, channel: int, work: Callable[[], None]) -> None:
        try:
            work()
        except DatabaseError:
            log.exception("Notifications to channel %d wait: the database did not take them.", channel)
        finally:
            connection.close()
            self._busy.discard(channel)


def due(now: datetime, run: Run = inline) -> None:
    """Send what is due, each channel by `run`."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines hold addresses with tokens
    waiting = Delivery.objects.filter(state=Delivery.State.QUEUED, next_at__lte=now, channel__enabled=True)
    for channel in list(waiting.order_by().values_list("channel", flat=True).distinct()):
        run(channel, lambda channel=channel: to_channel(channel, now))  # type: ignore[misc]


def to_channel(channel: int, now: datetime) -> None:
    """In the order in which they were queued; after one that fails the others wait for the next turn."""
    rows = Delivery.objects.filter(channel=channel, state=Delivery.State.QUEUED, next_at__lte=now)
    for row in rows.select_related("channel").order_by("next_at", "pk")[:AT_ONCE]:
        if not send_one(row, now):
            return


def send_one(row: Delivery, now: datetime) -> bool:
    """Two senders never send one delivery: each claims it first."""
    claimed = Delivery.objects.filter(pk=row.pk, state=Delivery.State.QUEUED, next_at=row.next_at).update(
        next_at=now + timedelta(seconds=HELD_SECONDS), attempts=F("attempts") + 1
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
    service = apprise.Apprise.instantiate(url)
    if service is None:
        raise NotSent("Apprise does not know this kind of address.")
    _check_host(service)
    if not service.notify(body=row.text, title=row.title):
        raise NotSent("The service did not take the message.")


def _check_host(service: apprise.NotifyBase) -> None:
    """A service on a host of somebody's own is held to the same rule as a webhook; the others have public hosts."""
    for host in {getattr(service, "host", None), getattr(service, "smtp_host", None)} - {None, ""}:
        try:
            found = looked_up(str(host), MAIL_PORT)
        except NotSent:
            continue  # some services keep a name there that is no host
        if not all(callable_(ipaddress.ip_address(text), settings.NOTIFY_NETWORKS) for text in found):
            raise NotSent("The service is not at an address that may be called. See NOTIFY_NETWORKS.")


def _failed(row: Delivery, why: str, now: datetime) -> None:
    used_up = row.attempts >= len(BACK_OFF)
    wait = timedelta(seconds=BACK_OFF[min(row.attempts, len(BACK_OFF) - 1)])
    state = Delivery.State.FAILED if used_up else Delivery.State.QUEUED
    Delivery.objects.filter(pk=row.pk).update(state=state, last_error=why[:200], next_at=now + wait)
    log.warning("A notification to %s did not go out: %s", row.channel.name, why)
