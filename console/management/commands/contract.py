"""`manage.py contract [ENGINE...] [--json]`: hold running engines to the contract, print engine × capability."""

import json
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.terminal import local_actor
from engines import contracts
from engines.contract import CAPABILITIES, Finding, Outcome, findings_to_json
from engines.contracts import NothingToTest
from engines.models import Engine

MARKS = {Outcome.PASS: "pass", Outcome.FAIL: "FAIL", Outcome.UNSUPPORTED: "no", Outcome.UNVERIFIED: "?"}
LEGEND = "no: not supported, said so and refused · ?: not verified, could not be brought about"
NO_HARDWARE = "No TensorRT-LLM was met on hardware by this project: its adapter is tested against a protocol double."


class Command(BaseCommand):
    help = "Send about twenty short requests to each engine and say what it does. Exit code 1 when something fails."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("engines", nargs="*", metavar="ENGINE", help="default: all that are registered")
        parser.add_argument("--json", action="store_true", help="findings with their reasons, as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        engines = list(Engine.objects.order_by("name"))
        if unknown := sorted(set(options["engines"]) - {engine.name for engine in engines}):
            raise CommandError(f"No engine is named {', '.join(unknown)}.")
        wanted = [engine for engine in engines if not options["engines"] or engine.name in options["engines"]]
        found = {engine.name: self._findings(engine) for engine in wanted}
        if options["json"]:
            self.stdout.write(json.dumps({name: findings_to_json(rows) for name, rows in found.items()}, indent=2))
        else:
            self._table(found)
            if any(engine.kind == Engine.Kind.TRTLLM for engine in wanted):
                self.stdout.write(NO_HARDWARE)
        if any(row.outcome is Outcome.FAIL for rows in found.values() for row in rows):
            raise CommandError("Not every engine keeps the contract.")

    def _findings(self, engine: Engine) -> list[Finding]:
        try:
            return async_to_sync(contracts.carry_out)(contracts.ask(engine, by=local_actor().name))
        except NothingToTest as why:
            raise CommandError(f"{engine.name}: {why}") from None

    def _table(self, found: dict[str, list[Finding]]) -> None:
        wide = [max(len(name), 5) for name in found]
        self.stdout.write("  ".join([" " * 18, *(name.ljust(width) for name, width in zip(found, wide, strict=True))]))
        for number, capability in enumerate(CAPABILITIES):
            marks = [MARKS[rows[number].outcome].ljust(width) for rows, width in zip(found.values(), wide, strict=True)]
            self.stdout.write("  ".join([capability.ljust(18), *marks]).rstrip())
        self.stdout.write(LEGEND)
        for name, rows in found.items():
            for row in rows:
                if row.outcome is Outcome.FAIL:
                    self.stdout.write(f"{name}, {row.capability}: {row.detail}")
