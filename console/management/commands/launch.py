"""`manage.py launch PROFILE`: a local engine by a launch profile, kept running, drained before it stops."""

import argparse
import asyncio
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.utils import OperationalError

from console import launching, supervise
from console.launching import CannotLaunch, Plan
from console.terminal import local_actor
from engines import launched, profiles
from engines.actors import Actor
from engines.client import EngineFailure
from engines.keeping import keep
from engines.launch.profile import InvalidProfile
from engines.launched import EngineTaken
from engines.local import LocalProcess, NotInstalled
from engines.models import Replica

REFUSALS = (CannotLaunch, EngineTaken, EngineFailure, InvalidProfile, NotInstalled, TimeoutError)
REASON = "command line"


class Command(BaseCommand):
    help = (
        "Start an engine by a launch profile and register it. While the product runs, its supervisor gets it; else it "
        "runs here in the foreground until Ctrl-C. --stop, --sleep and --wake name an engine that was launched."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("profile", help="name of the profile; with --stop, --sleep or --wake the engine's")
        parser.add_argument("--port", type=int, help="default: the profile's, else the first free one")
        parser.add_argument("--engine", default="", help="name to register; default: the profile's")
        parser.add_argument("--foreground", action="store_true", help="here, also while the product runs")
        parser.add_argument("--drain-seconds", type=float, default=launching.DRAIN_SECONDS)
        acts = parser.add_mutually_exclusive_group()
        acts.add_argument("--stop", action="store_true", help="drain the engine, then stop its process")
        acts.add_argument("--sleep", action="store_true", help="drain it and let it give its memory back (vLLM)")
        acts.add_argument("--wake", action="store_true", help="undo --sleep")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            self._act(options, local_actor())
        except REFUSALS as refused:
            raise CommandError(str(refused)) from refused
        except OperationalError as missing:
            raise CommandError(f"The database is not ready ({missing}); run manage.py migrate first.") from missing

    def _act(self, options: dict[str, Any], actor: Actor) -> None:
        name = options["profile"]
        if options["stop"]:
            replica = self._replica(name)
            launched.withdraw(replica, actor=actor, reason=REASON)
            launching.stop(
                name, replica.url, actor=actor, reason=REASON, say=self.stdout.write, seconds=options["drain_seconds"]
            )
        elif options["sleep"]:
            launching.put_to_sleep(self._replica(name), actor=actor, reason=REASON, say=self.stdout.write)
        elif options["wake"]:
            launching.wake(self._replica(name), actor=actor, reason=REASON)
        else:
            self._launch(options, actor)

    def _launch(self, options: dict[str, Any], actor: Actor) -> None:
        profiles.ensure_built_in()
        version = profiles.newest(options["profile"])
        if version is None:
            known = ", ".join(row.name for row in profiles.newest_versions())
            raise CommandError(f"No profile is named {options['profile']}. There are: {known}.")
        made = launching.plan(version, engine=options["engine"], port=options["port"])
        supervisor = None if options["foreground"] else supervise.running()
        if supervisor is None:
            raise SystemExit(self._foreground(made, actor, options["drain_seconds"]))
        launching.start(made, supervisor, actor=actor, reason=REASON)
        self.stdout.write(f"{made.engine} starts at {made.url} by {version}; its log is {made.log}")
        self.stdout.write(f"manage.py launch {made.engine} --stop drains and stops it.")

    def _foreground(self, made: Plan, actor: Actor, seconds: float) -> int:
        replica = launched.register(made.engine, made.version, made.url, actor=actor, reason=REASON)
        self.stdout.write(f"{made.engine} starts at {made.url} by {made.version}. Ctrl-C drains and stops it.")
        code = asyncio.run(self._keep(made, replica, actor, seconds))
        left = launched.replica_of(made.engine)
        if left is not None:  # it ended while it waited for its next start: nobody drained it
            launched.withdraw(left, actor=actor, reason=REASON)
        launched.gone(made.engine, actor=actor, reason=REASON)
        return max(0, code)

    async def _keep(self, made: Plan, replica: Replica, actor: Actor, seconds: float) -> int:
        """A second signal does not wait for the drain."""
        until, loop = asyncio.Event(), asyncio.get_running_loop()
        engine = replica.engine

        async def before_stop() -> None:
            await asyncio.to_thread(self._withdraw, replica, actor)
            draining = asyncio.ensure_future(
                launching.drain(
                    engine.name, engine.kind, made.url, engine.served_model, seconds=seconds, say=self.stdout.write
                )
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, draining.cancel)
            await asyncio.wait({draining})

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, until.set)
        return await keep(
            lambda: LocalProcess(made.words, made.log, lambda text: self.stdout.write(text, ending="")),
            until=until, before_stop=before_stop, say=self.stdout.write, stop_seconds=made.stop_seconds,
        )  # fmt: skip

    def _withdraw(self, replica: Replica, actor: Actor) -> None:
        """In a thread of its own, whose connection ends with it."""
        try:
            launched.withdraw(replica, actor=actor, reason=REASON)
        finally:
            connection.close()

    def _replica(self, engine: str) -> Replica:
        replica = launched.replica_of(engine)
        if replica is None:
            known = ", ".join(row.engine.name for row in launched.replicas()) or "none"
            raise CommandError(f"No engine named {engine} was launched. There are: {known}.")
        return replica
