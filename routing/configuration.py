"""The run-time settings: checked, changed by compare-and-set, published."""

from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from engines.actors import Actor
from routing.models import SettingsRevision
from routing.publish import current_settings, publish
from routing.signals import changed
from routing.table import Settings


@transaction.atomic
def change_settings(settings: Settings, *, expected: int, actor: Actor, reason: str) -> SettingsRevision:
    """Raises InvalidSettings, or StaleSettings when another revision came first."""
    check_settings(settings)
    newest = SettingsRevision.objects.order_by("-number").first()
    number = newest.number if newest else 0
    if number != expected:
        raise StaleSettings(number)
    before = asdict(current_settings())
    revision = SettingsRevision.objects.create(
        number=number + 1, body=asdict(settings), reason=reason, actor_name=actor.name, at=timezone.now()
    )
    publish("settings.change")
    changed.send(
        SettingsRevision,
        action="settings.change",
        subject="settings",
        actor=actor,
        reason=reason,
        before=before,
        after=asdict(settings),
    )
    return revision


class InvalidSettings(ValueError):
    """A setting is outside what can work; the message names it."""


def check_settings(settings: Settings) -> None:
    """Raises InvalidSettings."""
    for name in ("ttft_limit", "e2e_limit", "qps_target", "request_deadline", "long_input_tokens"):
        if not getattr(settings, name) > 0:
            raise InvalidSettings(f"{name} must be above 0.")
    for name in ("error_rate_limit", "windows_met_ratio", "health_out_below", "health_back_at"):
        if not 0 < getattr(settings, name) <= 1:
            raise InvalidSettings(f"{name} must be above 0 and at most 1.")
    if settings.health_back_at < settings.health_out_below:
        raise InvalidSettings("health_back_at must not be below health_out_below.")


class StaleSettings(Exception):
    """Somebody else changed the settings first."""
