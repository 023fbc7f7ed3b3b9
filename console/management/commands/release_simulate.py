"""`manage.py release_simulate`: healthy and broken releases through the real detectors; tables of docs/releases.md."""

import math
import platform
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from gates import simulation
from gates.detectors.settings import DetectorSettings
from gates.simulation import Fault, World

MARKS = ("<!-- simulation -->", "<!-- /simulation -->")
FAULTS = (
    ("canary 50 % bad, fails fast, 2/s", World(), Fault(canary=0.5, start=120)),
    ("canary 50 % bad, hangs to the limit, 2/s", World(), Fault(canary=0.5, start=120, hangs=True)),
    ("canary 20 % bad, fails fast, 2/s", World(), Fault(canary=0.2, start=120)),
    ("canary 50 % bad, fails fast, 10/s", World(rate=10), Fault(canary=0.5, start=120)),
    ("canary gone, 2/s", World(), Fault(canary=1.0, start=120)),
    ("both arms 50 % bad, 2/s", World(), Fault(canary=0.5, baseline=0.5, start=120)),
    ("both arms gone, 2/s", World(), Fault(canary=1.0, baseline=1.0, start=120)),
    ("both arms 50 % bad, 10/s", World(rate=10), Fault(canary=0.5, baseline=0.5, start=120)),
)


class Command(BaseCommand):
    help = "Simulate releases with a fixed seed; --write puts the tables into docs/releases.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--releases", type=int, default=2000, help="healthy releases")
        parser.add_argument("--broken", type=int, default=400, help="broken releases of each kind")
        parser.add_argument("--seed", type=int, default=11)
        parser.add_argument("--write", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        begun = time.monotonic()
        lines = [*_healthy(options["releases"], options["seed"]), "", *_broken(options["broken"], options["seed"])]
        seconds = time.monotonic() - begun
        today = datetime.now(UTC).date().isoformat()
        where = f"{platform.machine()}, Python {platform.python_version()}"
        lines += ["", f"Seed {options['seed']}, {today}, {where}, {seconds:.0f} s."]
        text = "\n".join(lines)
        self.stdout.write(text)
        if options["write"]:
            page = Path(settings.BASE_DIR) / "docs" / "releases.md"
            before, rest = page.read_text().split(MARKS[0])
            after = rest.split(MARKS[1])[1]
            page.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


def _healthy(releases: int, seed: int) -> list[str]:
    ends = simulation.false_alarms(World(), DetectorSettings(), releases=releases, seed=seed)
    rolled = sum(ends[name] for name in ("blame", "protect", "drift"))
    error = 1.96 * math.sqrt(0.01 * 0.99 / releases)
    share, allowed = 100 * rolled / releases, 100 * (0.01 + error)
    word = "met" if share <= allowed else "NOT MET"
    return [
        f"| {releases:,} healthy releases, clumped traffic, 2 requests/s | |",
        "|---|---:|",
        f"| rolled back by blame | {ends['blame']} |",
        f"| rolled back to protect users | {ends['protect']} |",
        f"| paused for the sample ratio | {ends['ratio']} |",
        f"| false roll-backs | {share:.2f} % (at most 1 % + {100 * error:.2f} sampling error: {word}) |",
    ]


def _broken(releases: int, seed: int) -> list[str]:
    rows = [
        f"| what breaks ({releases} releases each, canary at 10 %) | found | median, s | P95, s | by |",
        "|---|---:|---:|---:|---|",
    ]
    for name, world, fault in FAULTS:
        found = simulation.detections(world, DetectorSettings(), fault, releases=releases, seed=seed)
        seen = [one for one in found if one is not None and one.seconds > 0]
        by = Counter(one.by for one in seen)
        words = ", ".join(f"{who} {100 * count / max(len(seen), 1):.0f} %" for who, count in by.most_common())
        times = [one.seconds for one in seen]
        figures = (f"{simulation.quantile(times, q):.0f}" if times else "—" for q in (0.5, 0.95))
        rows.append(f"| {name} | {100 * len(seen) / releases:.0f} % | {' | '.join(figures)} | {words} |")
    return rows
