"""Recomputes a gate report's figures from its samples alone, and says where they differ: imports nothing of ours.

Run: `python tests/e2e/recompute.py report.json samples.jsonl[.gz]`. Definitions: docs/gates.md. Times in seconds.
"""

import gzip
import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def load(report: Path, samples: Path) -> tuple[dict[str, Any], list[Row]]:
    raw = gzip.decompress(samples.read_bytes()) if samples.suffix == ".gz" else samples.read_bytes()
    return json.loads(report.read_text()), [json.loads(line) for line in raw.splitlines()]


def clock(row: Row, mark: str) -> float:
    """From the intended send; +inf for everything but an answer."""
    if row["outcome"] != "ok" or row[mark] is None:
        return math.inf
    return (row[mark] - row["intended_ns"]) / 1e9


def p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 95 / 100) - 1]


MARKS = {"ttft_p95": "first_token_ns", "e2e_p95": "end_ns"}


class Recomputed:
    """The measured requests of the attempts that were kept, and one method for each objective."""

    def __init__(self, report: dict[str, Any], rows: list[Row]) -> None:
        self.policy = report["policy"]["body"]
        self.levels = {
            level["level"]: level["seconds"] for phase in report["phases"] for level in phase.get("levels") or ()
        }
        newest: dict[str, int] = defaultdict(int)
        for row in rows:
            newest[row["phase"]] = max(newest[row["phase"]], row["attempt"])
        self.rows = [
            row
            for row in rows
            if not row["warmup"] and row["outcome"] != "cancelled_by_us" and row["attempt"] == newest[row["phase"]]
        ]

    def of(self, phase: str, scope: str) -> list[Row]:
        own = [row for row in self.rows if row["phase"] == phase]
        if scope.startswith("level "):
            return [row for row in own if row["level"] == int(scope[6:]) and not row["transition"]]
        return own

    def value(self, phase: str, objective: str, scope: str) -> tuple[float, int]:
        """(value, n)"""
        rows = self.of(phase, scope)
        answered = sum(row["outcome"] == "ok" for row in rows)
        if objective in MARKS:
            return p95([clock(row, MARKS[objective]) for row in rows]), len(rows)
        if objective == "error_rate":
            return (len(rows) - answered) / len(rows), len(rows)
        if objective == "qps":
            seconds = self.levels[int(scope[6:])] if phase == "step" else self.policy[phase]["seconds"]
            return answered / seconds, len(rows)
        return self.windows()

    def windows(self) -> tuple[float, int]:
        length, least = self.policy["window_seconds"], self.policy["window_minimum"]
        last = math.ceil(self.policy["soak"]["seconds"] / length) - 1
        groups: dict[int, list[Row]] = defaultdict(list)
        for row in self.of("soak", "phase"):
            groups[min(int(row["intended_ns"] // (length * 1e9)), last)].append(row)
        judged = [group for group in groups.values() if len(group) >= least]
        limits = self.policy["objectives"]
        met = sum(all(p95([clock(row, MARKS[n]) for row in group]) <= limits[n] for n in MARKS) for group in judged)
        return met / len(judged), len(judged)


def differences(report: dict[str, Any], rows: list[Row]) -> list[str]:
    """Empty when every figure of the report is what the samples give, to the last digit."""
    found, again = [], Recomputed(report, rows)
    for stated in report["objectives"]:
        if not stated["n"] or stated["verdict"] == "inconclusive":
            continue
        name = (stated["phase"], stated["objective"], stated["scope"])
        value, n = again.value(*name)
        told = math.inf if stated["value"] is None else stated["value"]
        if (value, n) != (told, stated["n"]):
            found.append(f"{' '.join(name)}: the report says {told} of {stated['n']}, the samples give {value} of {n}")
    return found


def main() -> None:
    report, rows = load(Path(sys.argv[1]), Path(sys.argv[2]))
    found = differences(report, rows)
    for line in found:
        print(line)
    print(f"{len(report['objectives'])} objectives, {len(rows)} samples, {len(found)} differences")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
