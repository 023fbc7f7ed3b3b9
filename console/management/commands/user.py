"""`manage.py user NAME --role ROLE`: make an account, or change its role or password."""

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from console import people
from console.models import Role
from console.terminal import local_actor


class Command(BaseCommand):
    help = "Make an account with a role, or give an existing one another role. A new password is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", choices=Role.values, required=True)
        parser.add_argument("--new-password", action="store_true", help="also for an account that exists")

    def handle(self, *_args: Any, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        made = people.put_user(
            options["name"],
            Role(options["role"]),
            password=password,
            replace_password=options["new_password"],
            actor=local_actor(),
        )
        self.stdout.write(f"{options['name']} is {options['role']}.")
        if made or options["new_password"]:
            self.stdout.write(f"Password, shown only now: {password}")
