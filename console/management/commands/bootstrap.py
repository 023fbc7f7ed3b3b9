"""`manage.py bootstrap`: first start of a real deployment, or of the demo with --demo."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from console import bootstrap
from gates import actions as gate_actions
from gates import release_policies


class Command(BaseCommand):
    help = "Seed settings and engines from the environment and make the first admin. No demo accounts unless --demo."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--admin", default="admin", help="name of the first admin (default: admin)")
        parser.add_argument("--demo", action="store_true", help="demo users, key, engines and route instead")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["demo"]:
            self.stdout.write(bootstrap.banner(bootstrap.start_demo()))
            return
        bootstrap.seed_settings()
        gate_actions.ensure_built_in()
        release_policies.ensure_built_in()
        for name in bootstrap.seed_endpoints():
            self.stdout.write(f"Registered engine {name}.")
        password = bootstrap.make_admin(options["admin"])
        if password is None:
            self.stdout.write("An admin exists; no account was made.")
        else:
            self.stdout.write(f"Made the admin {options['admin']} with the password {password}")
            self.stdout.write("It is shown only now: log in and change it.")
