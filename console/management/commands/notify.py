"""`manage.py notify list|test|log|retry`: channels and what went out to them, from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from console.models import Channel, Delivery
from console.notify import actions, send

SHOWN = 30


class Command(BaseCommand):
    help = "Look after notifications. Channels are added in the console: their addresses are secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="the channels")
        test = verbs.add_parser("test", help="send a test message now; exit code 1 when it does not go out")
        test.add_argument("channel")
        log = verbs.add_parser("log", help=f"the newest {SHOWN} deliveries")
        log.add_argument("--failed", action="store_true", help="only those that were given up")
        retry = verbs.add_parser("retry", help="queue a delivery that was given up once more")
        retry.add_argument("delivery", type=int)

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, f"do_{options['verb']}")(options)

    def do_list(self, _options: dict[str, Any]) -> None:
        for row in Channel.objects.order_by("name"):
            self.stdout.write(f"{row.name:20} {'on' if row.enabled else 'off':4} {row.kind:8} {', '.join(row.events)}")

    def do_test(self, options: dict[str, Any]) -> None:
        channel = Channel.objects.filter(name=options["channel"]).first()
        if channel is None:
            raise CommandError(f"No channel is named {options['channel']}.")
        row = actions.test_message(channel)
        send.send_one(row, timezone.now())
        row.refresh_from_db()
        if row.state != Delivery.State.SENT:
            raise CommandError(row.last_error or "Another sender has the message; see the log.")
        self.stdout.write("Sent.")

    def do_log(self, options: dict[str, Any]) -> None:
        rows = Delivery.objects.select_related("channel").order_by("-pk")
        if options["failed"]:
            rows = rows.filter(state=Delivery.State.FAILED)
        for row in rows[:SHOWN]:
            times = f"{row.created_at:%Y-%m-%d %H:%M}  {row.state:6} {row.attempts:2}"
            self.stdout.write(f"{row.pk:6} {times}  {row.channel.name:20} {row.title}  {row.last_error}".rstrip())

    def do_retry(self, options: dict[str, Any]) -> None:
        row = Delivery.objects.filter(pk=options["delivery"]).first()
        if row is None or row.state != Delivery.State.FAILED:
            raise CommandError(f"Delivery {options['delivery']} is not one that was given up.")
        actions.retry(row)
        self.stdout.write("Queued once more.")
