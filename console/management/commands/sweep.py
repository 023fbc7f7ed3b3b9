"""`manage.py sweep PROFILE --grid max_num_seqs=4,8,16`: one workload over a grid of settings, on local engines."""

import argparse
import json
import signal
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console import launching
from console.terminal import local_actor
from engines import profiles
from engines.models import LaunchProfile
from engines.profiles import value_of
from gates import sweep, sweeps
from gates.policy import InvalidPolicy, Objectives, Workload
from gates.policy import check as check_policy
from gates.sweep import InvalidSweep, Options
from gates.sweep_run import conduct
from routing.publish import current_settings

FIRST_PORT = launching.PORT_OFFSET + 20
PLAIN = Options(grid=())


class Command(BaseCommand):
    help = (
        "Start the profile's engine once for each point of the grid, load it with the same prompts, and show "
        "throughput against TTFT and E2E. The result is on the profile's page. Exit code 1: none keeps the objectives."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("profile")
        parser.add_argument("--grid", action="append", required=True, metavar="NAME=A,B,C", help="may be given again")
        parser.add_argument("--workload", choices=("synthetic", "demo"), default="synthetic", help="prompts")
        parser.add_argument("--input-tokens", type=int, default=PLAIN.workload.input_tokens)
        parser.add_argument("--output-tokens", type=int, default=PLAIN.workload.output_tokens)
        parser.add_argument("--shared-prefix", action="store_true", help="let prompts repeat: the prefix cache counts")
        parser.add_argument("--concurrency", type=int, default=PLAIN.concurrency, help="requests kept under way")
        parser.add_argument("--seconds", type=float, default=PLAIN.seconds, help="of each point, at least")
        parser.add_argument("--requests", type=int, default=PLAIN.requests, help="answers of each point, at least")
        parser.add_argument("--ttft-p95", type=float, help="objective, seconds; default: the console's")
        parser.add_argument("--e2e-p95", type=float, help="objective, seconds; default: the console's")
        parser.add_argument("--seed", type=int, default=PLAIN.seed)
        parser.add_argument("--port", type=int, help="the first to try")
        parser.add_argument("--json", type=Path, metavar="FILE", help="options and points")

    def handle(self, *_args: Any, **options: Any) -> None:
        profiles.ensure_built_in()
        version = profiles.newest(options["profile"])
        if version is None:
            raise CommandError(f"No profile is named {options['profile']}.")
        made = self._options(version, options)
        row = sweeps.create(version, made, actor=local_actor(), reason="command line")
        self.stdout.write(f"Sweep {row.pk} of {version}: {made.concurrency} requests under way at each point")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        port = options["port"] or settings.ENGINE_PORT + FIRST_PORT
        with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
            good = conduct(row, port=port, folder=Path(folder), say=self.stdout.write)
        if options["json"]:
            options["json"].write_text(json.dumps({"options": row.options, "points": row.points}, indent=2))
        raise SystemExit(0 if good else 1)

    def _options(self, version: LaunchProfile, given: dict[str, Any]) -> Options:
        now = current_settings()
        try:
            made = Options(
                grid=sweep.parse_grid(given["grid"]),
                workload=Workload(
                    source=given["workload"], input_tokens=given["input_tokens"], output_tokens=given["output_tokens"],
                    salted=not given["shared_prefix"],
                ),
                objectives=Objectives(
                    ttft_p95=given["ttft_p95"] or now.ttft_limit, e2e_p95=given["e2e_p95"] or now.e2e_limit,
                    error_rate=now.error_rate_limit,
                ),
                **{name: given[name] for name in ("concurrency", "seconds", "requests", "seed")},
            )  # fmt: skip
            sweep.combinations(value_of(version), made.grid)
            check_policy(made.policy)
        except (InvalidSweep, InvalidPolicy) as invalid:
            raise CommandError(str(invalid)) from invalid
        return made
