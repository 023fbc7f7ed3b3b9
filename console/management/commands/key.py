"""`manage.py key create|list|revoke`: client keys from the command line."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from console.terminal import local_actor
from routing import keys
from routing.models import ApiKey

SCOPES = ("inference", "select-engine", keys.CONTROL)


class Command(BaseCommand):
    help = "Create, list or revoke the keys of clients at the gateway and of pipelines at the control API."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a key; it is shown once")
        create.add_argument("name")
        create.add_argument("--scope", action="append", choices=SCOPES, help="default: inference")
        create.add_argument("--days", type=int, default=90, help="valid for so many days (default 90)")
        create.add_argument("--per-minute", type=int, help="requests per minute (default: no limit)")
        verbs.add_parser("list", help="name, prefix, scopes and expiry of each key")
        revoke = verbs.add_parser("revoke", help="gateways refuse it within 2 s")
        revoke.add_argument("prefix", help="the first eight characters, as list shows them")

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, options["verb"])(options)

    def create(self, options: dict[str, Any]) -> None:
        _key, secret = keys.create_key(
            options["name"],
            scopes=options["scope"] or ["inference"],
            actor=local_actor(),
            reason="command line",
            expires_at=timezone.now() + timedelta(days=options["days"]),
            requests_per_minute=options["per_minute"],
        )
        self.stdout.write(secret)
        self.stderr.write("It is shown only now.")

    def list(self, _options: dict[str, Any]) -> None:
        for key in ApiKey.objects.order_by("name"):
            expiry = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "no expiry"
            state = "revoked" if key.revoked_at else expiry
            self.stdout.write(f"{key.prefix}  {key.name:<24} {','.join(key.scopes):<26} {state}")

    def revoke(self, options: dict[str, Any]) -> None:
        found = list(ApiKey.objects.filter(prefix=options["prefix"], revoked_at=None))
        if len(found) != 1:
            raise CommandError(f"{len(found)} keys in use start with {options['prefix']}.")
        keys.revoke_key(found[0], actor=local_actor(), reason="command line")
        self.stdout.write(f"Revoked {found[0].name}.")
