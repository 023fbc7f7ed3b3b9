"""`manage.py setting [NAME VALUE]`: show the run-time settings, or change one; gateways follow within 2 s."""

from dataclasses import asdict, fields, replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.terminal import local_actor
from routing import configuration
from routing.models import SettingsRevision
from routing.publish import current_settings
from routing.table import Settings


class Command(BaseCommand):
    help = "Without arguments: every run-time setting. With NAME and VALUE: change it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", choices=[field.name for field in fields(Settings)])
        parser.add_argument("value", nargs="?")
        parser.add_argument("--reason", default="command line")

    def handle(self, *_args: Any, **options: Any) -> None:
        name, raw = options["name"], options["value"]
        if name is None or raw is None:
            for key, value in asdict(current_settings()).items():
                self.stdout.write(f"{key} = {value}")
            return
        newest = SettingsRevision.objects.order_by("-number").first()
        now = current_settings()
        changed = replace(now, **{name: parse(raw, like=getattr(now, name), name=name)})
        expected = newest.number if newest else 0
        try:
            configuration.change_settings(changed, expected=expected, actor=local_actor(), reason=options["reason"])
        except configuration.InvalidSettings as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{name} = {getattr(current_settings(), name)}")


def parse(raw: str, *, like: Any, name: str) -> Any:
    """`raw` as the type of the value it replaces."""
    if isinstance(like, bool):
        if raw not in {"1", "0"}:
            raise CommandError(f"{name} is 1 or 0.")
        return raw == "1"
    if isinstance(like, tuple):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    try:
        return type(like)(raw)
    except ValueError as error:
        raise CommandError(f"{name} is a number like {like}, not {raw!r}.") from error
