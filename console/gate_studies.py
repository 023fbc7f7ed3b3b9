"""`manage.py gate capacity|ab|study`: studies from the command line, and what the worker runs for the pages."""

import asyncio
import json
from pathlib import Path
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError

from console.gate_pipeline import INFRASTRUCTURE
from console.terminal import local_actor
from gates import capacity_run, pairs_run, studies
from gates.actions import UnknownTarget
from gates.capacity import Stop
from gates.models import GateStudy
from gates.pairs import Word
from gates.study_run import conduct
from gates.study_states import State

NOT_TAKEN = 75
INCONCLUSIVE, CANCELLED = 3, 130
CODES = {
    Stop.CONVERGED: 0,
    Stop.CAP: 0,
    Stop.FAILS_AT_MINIMUM: 1,
    Stop.UNRESOLVED: INCONCLUSIVE,
    Stop.BUDGET: INCONCLUSIVE,
    Word.BETTER: 0,
    Word.NON_INFERIOR: 0,
    Word.WORSE: 1,
    Word.UNRESOLVED: INCONCLUSIVE,
}


def add_verbs(verbs: Any) -> None:
    capacity, defaults = verbs.add_parser("capacity", help="the highest rate an engine holds"), capacity_run.Options()
    capacity.add_argument("--engine", required=True, metavar="NAME")
    for name, words in (
        ("start", "requests per second of the first probe"),
        ("cap", "the highest rate that is tried"),
        ("probe_seconds", "the shortest probe; slow rates take as long as 120 requests do, at most 180 s"),
        ("settle_seconds", "before each probe, not judged"),
        ("confirm_seconds", "one more probe at the rate that was found; 0 leaves it out"),
    ):
        default = getattr(defaults, name)
        flag = f"--{name.replace('_', '-')}"
        capacity.add_argument(flag, type=float, default=default, metavar="N", help=f"{words} (default: {default:g})")
    ab = verbs.add_parser("ab", help="the same prompts on two engines, paired")
    ab.add_argument("--baseline", required=True, metavar="NAME")
    ab.add_argument("--candidate", required=True, metavar="NAME")
    ab.add_argument("--prompts", type=int, default=pairs_run.Options().prompts, help="pairs (default: 40)")
    for parser in (capacity, ab):
        parser.add_argument("--policy", default="standard", metavar="NAME", help="its objectives and prompts")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--json", type=Path, metavar="FILE", help="the study as JSON")
    verbs.add_parser("study", help="run a queued study here (the worker does this)").add_argument("study", type=int)


class StudyVerbs(BaseCommand):
    """The verbs of studies, for `manage.py gate`."""

    def do_capacity(self, options: dict[str, Any]) -> None:
        asked = {name: options[name] for name in capacity_run.Options.__slots__ if name in options}
        try:
            capacity_run.check(capacity_run.options_of(asked))
        except capacity_run.InvalidOptions as invalid:
            raise CommandError(str(invalid), returncode=INFRASTRUCTURE) from invalid
        self._study(GateStudy.Kind.CAPACITY, options["engine"], {**asked, "policy": options["policy"]}, options)

    def do_ab(self, options: dict[str, Any]) -> None:
        asked = {name: options[name] for name in ("prompts", "seed", "policy")}
        self._study(GateStudy.Kind.AB, options["candidate"], asked, options, baseline=options["baseline"])

    def do_study(self, options: dict[str, Any]) -> None:
        if not self._conduct(options["study"]):
            raise SystemExit(NOT_TAKEN)

    def _study(
        self, kind: str, target: str, asked: dict[str, Any], options: dict[str, Any], baseline: str = ""
    ) -> None:
        if options["json"] and not options["json"].parent.is_dir():
            raise CommandError(f"There is no folder {options['json'].parent}.", returncode=INFRASTRUCTURE)
        try:
            study = studies.create(
                kind, target, actor=local_actor(), options=asked, baseline=baseline, hand_to_worker=False
            )
        except UnknownTarget as unknown:
            raise CommandError(str(unknown), returncode=INFRASTRUCTURE) from unknown
        self.stdout.write(f"Study {study.pk}: {study.get_kind_display().lower()}, {target}")
        taken = self._conduct(study.pk)
        study.refresh_from_db()
        if not taken:
            studies.request_cancel(study, actor=local_actor())
            raise CommandError(f"{study.reason} Nothing was measured.", returncode=INFRASTRUCTURE)
        self._tell(study, options["json"])

    def _conduct(self, study_id: int) -> bool:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(conduct(study_id, self.stdout.write))

    def _tell(self, study: GateStudy, file: Path | None) -> None:
        """The result in words, and the exit code that goes with it."""
        result = study.body.get("result", {})
        for row in [*result.get("metrics", []), *result.get("ladder", [])]:
            self.stdout.write(f"{row.get('name', '')} {row.get('rung', row.get('word'))}: {row['sentence']}".strip())
        self.stdout.write(f"{study.state.upper()}: {study.reason}")
        if file is not None:
            facts = {"study": study.pk, "kind": study.kind, "target": study.target, "baseline": study.baseline}
            file.write_text(json.dumps({**facts, "state": study.state, **study.body}, indent=2) + "\n")
        if study.state != State.DONE:
            raise SystemExit(CANCELLED if study.state == State.CANCELLED else INFRASTRUCTURE)
        word = result.get("stop") or result["word"]
        raise SystemExit(next(code for name, code in CODES.items() if name == word))
