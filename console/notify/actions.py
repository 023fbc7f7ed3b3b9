"""Changes of channels, and what people do to deliveries: audited like every change."""

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console import audit
from console.models import Channel, Delivery
from engines.actors import Actor
from engines.sealing import seal


@transaction.atomic
def save_channel(
    channel: Channel | None, *, name: str, kind: str, url: str, secret: str, events: Sequence[str], actor: Actor
) -> Channel:
    """An empty `url` or `secret` keeps the one that is stored. Raises IntegrityError when the name is taken."""
    before = _shown(channel) if channel else {}
    row = channel or Channel(created_at=timezone.now())
    row.name, row.kind, row.events = name, kind, list(events)
    if url:
        row.sealed_url = seal(url, settings.FERNET_KEY)
    if secret:
        row.sealed_secret = seal(secret, settings.FERNET_KEY)
    row.save()
    _record("channel.save", row, actor, before)
    return row


@transaction.atomic
def switch_channel(channel: Channel, *, enabled: bool, actor: Actor) -> None:
    before = _shown(channel)
    Channel.objects.filter(pk=channel.pk).update(enabled=enabled)
    channel.refresh_from_db()
    _record("channel.on" if enabled else "channel.off", channel, actor, before)


@transaction.atomic
def delete_channel(channel: Channel, *, actor: Actor) -> None:
    before, name = _shown(channel), channel.name
    channel.delete()
    audit.record(action="channel.delete", subject=f"channel:{name}", actor=actor, reason="", before=before, after={})


def test_message(channel: Channel) -> Delivery:
    now = timezone.now()
    return Delivery.objects.create(
        channel=channel, key=f"test:{now.timestamp()}", action="channel.test", title="A test of the console",
        text=f"Channel {channel.name} works.", next_at=now, created_at=now,
    )  # fmt: skip


def retry(delivery: Delivery) -> None:
    """Once more from the beginning."""
    Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.FAILED).update(
        state=Delivery.State.QUEUED, attempts=0, next_at=timezone.now()
    )


def _shown(channel: Channel) -> dict[str, object]:
    """Never the address: it may hold a token."""
    return {"kind": channel.kind, "events": ", ".join(channel.events), "enabled": channel.enabled}


def _record(action: str, channel: Channel, actor: Actor, before: dict[str, object]) -> None:
    audit.record(
        action=action, subject=f"channel:{channel.name}", actor=actor, reason="", before=before, after=_shown(channel)
    )
