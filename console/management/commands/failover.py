"""`manage.py failover run|execute`: what clients see when an engine of a route fails, tried on a stand-in of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.gate_pipeline import EXIT, INFRASTRUCTURE
from console.terminal import local_actor
from gates.failover import actions
from gates.failover.execute import execute
from gates.failover.scenarios import DEFAULT, InvalidPlan, Plan, Scenario
from gates.models import FailoverRun
from gates.runs import State

CODES = "Exit codes: 0 passed, 1 failed, 2 invalid, 3 inconclusive, 4 infrastructure, 130 cancelled."


class Command(BaseCommand):
    help = f"Try faults before a live engine, on a temporary route that clients do not use. {CODES}"

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        run = verbs.add_parser("run", help=f"run it here and wait. {CODES}")
        run.add_argument("--route", required=True, help="both engines are members of it")
        run.add_argument("--engine", required=True, help="the one that fails, in appearance")
        run.add_argument("--other", required=True, help="the one that should take over")
        names = ",".join(DEFAULT)
        run.add_argument("--scenarios", default=names, help=f"of {', '.join(Scenario)} (default: {names})")
        run.add_argument("--seconds", type=float, default=8.0, help="how long each fault lasts (default 8)")
        run.add_argument("--json", type=Path, metavar="FILE", help="the report with every request")
        run.add_argument("--listen", default="127.0.0.1", help="address of the stand-in, reachable for the gateways")
        running = verbs.add_parser("execute", help="execute a queued run in this process (the worker does this)")
        running.add_argument("run", type=int)

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["verb"] == "execute":
            asyncio.run(execute(options["run"]))
            return
        if options["json"] and not options["json"].parent.is_dir():
            raise CommandError(f"There is no folder {options['json'].parent}.", returncode=INFRASTRUCTURE)
        run = self._create(options)
        self.stdout.write(f"Failover run {run.pk}: {run.engine} fails, {run.other} takes over")
        asyncio.run(execute(run.pk, listen=options["listen"]))
        run.refresh_from_db()
        for finding in run.body.get("findings", []):
            self.stdout.write(f"{finding['scenario']:<10} {finding['verdict']:<13} {finding['words']}")
        if options["json"]:
            options["json"].write_text(json.dumps(run.body, indent=2))
        self.stdout.write(f"{run.state.upper()}: {run.reason}")
        raise SystemExit(EXIT[State(run.state)])

    def _create(self, options: dict[str, Any]) -> FailoverRun:
        try:
            scenarios = tuple(Scenario(name.strip()) for name in options["scenarios"].split(","))
            plan = Plan(scenarios=scenarios, fault=options["seconds"])
            return actions.create(
                options["route"], options["engine"], options["other"], plan, actor=local_actor(),
                reason="command line", hand_to_worker=False,
            )  # fmt: skip
        except (actions.InvalidPair, InvalidPlan, ValueError) as refused:
            raise CommandError(str(refused), returncode=INFRASTRUCTURE) from refused
