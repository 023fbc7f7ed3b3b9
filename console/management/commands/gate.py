"""`manage.py gate run|execute|judge|list|cancel|resume|…`: gate runs from the command line and from pipelines."""

import asyncio
import json
from pathlib import Path
from typing import Any

import uvloop
from django.core.management.base import CommandError, CommandParser

from console.gate_pipeline import EXIT, INFRASTRUCTURE, Pipeline, WillNotStart
from console.gate_studies import StudyVerbs, add_verbs
from console.terminal import local_actor
from gates import actions, outputs, records, thinning
from gates.execute import execute
from gates.models import GateRun

SHOWN = 20
NOT_TAKEN = 75
CODES = "Exit codes: 0 passed, 1 failed, 2 invalid, 3 inconclusive, 4 infrastructure, 130 cancelled."
FILES = {
    "json": "the report as JSON",
    "html": "the report as one HTML file",
    "markdown": "the report as Markdown",
    "junit": "the objectives as JUnit XML",
    "samples": "every request as JSON Lines",
    "evidence": "signed evidence, for manage.py evidence verify",
}


class Command(StudyVerbs):
    help = f"Run release gates and look after their runs. {CODES}"

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        run = verbs.add_parser("run", help=f"test an engine or a route. {CODES}")
        target = run.add_mutually_exclusive_group(required=True)
        target.add_argument("--engine", metavar="NAME")
        target.add_argument("--route", metavar="NAME", help="through the gateway")
        run.add_argument("--policy", default="quick", metavar="NAME", help="its newest version (default: quick)")
        run.add_argument("--note", default="", help="why, for the report")
        run.add_argument("--seed", type=int, help="repeat the plan of another run")
        run.add_argument("--baseline", type=int, metavar="RUN", help="the run to compare with")
        self._add_waiting(run)
        resume = self._add_verb(verbs, "resume", "go on with an interrupted or errored run; finished phases are kept")
        self._add_waiting(resume)
        add_verbs(verbs)
        self._add_verb(verbs, "execute", "execute a queued run in this process (the worker does this)")
        self._add_verb(verbs, "judge", "judge a run again from its stored samples; exit code 1 when the result differs")
        self._add_verb(verbs, "cancel", "stop the load of a run; its samples are kept")
        listing = verbs.add_parser("list", help=f"the newest {SHOWN} runs")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, f"do_{options['verb']}")(options)

    def do_run(self, options: dict[str, Any]) -> None:
        policy = actions.newest(options["policy"])
        if policy is None:
            raise CommandError(f"No policy is named {options['policy']}.", returncode=INFRASTRUCTURE)
        kind = "engine" if options["engine"] else "route"
        self._check_files(options)
        baseline = self._find(options["baseline"]) if options["baseline"] else None
        try:
            run = actions.create_run(
                policy, kind, options[kind], actor=local_actor(), note=options["note"], baseline=baseline,
                seed=options["seed"], hand_to_worker=not options["wait"],
            )  # fmt: skip
        except actions.UnknownTarget as unknown:
            raise CommandError(str(unknown), returncode=INFRASTRUCTURE) from unknown
        self.stdout.write(f"Run {run.pk}: {policy.name} v{policy.number} on {kind} {run.target}")
        self._wait(run, options)

    def do_resume(self, options: dict[str, Any]) -> None:
        self._check_files(options)
        run = self._find(options["run"])
        try:
            actions.resume(run, actor=local_actor(), reason="command line", hand_to_worker=not options["wait"])
        except actions.WrongState as wrong:
            raise CommandError(str(wrong), returncode=INFRASTRUCTURE) from wrong
        self._wait(run, options)

    def do_execute(self, options: dict[str, Any]) -> None:
        """In the process of the load: nothing else runs here."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            taken = runner.run(execute(options["run"]))
        if not taken:
            raise SystemExit(NOT_TAKEN)

    def do_judge(self, options: dict[str, Any]) -> None:
        run = self._find(options["run"])
        if not run.judgement:
            raise CommandError(f"Run {run.pk} is {run.state}: it was not judged.", returncode=INFRASTRUCTURE)
        if gone := thinning.gone_words(run):
            words = (
                f"{gone} It was judged {run.judgement['verdict']} {run.judgement['digest']} and cannot be judged again."
            )
            raise CommandError(words, returncode=INFRASTRUCTURE)
        again = records.judged_again(run)
        self.stdout.write(f"{again.verdict} {again.digest}")
        if (again.verdict.value, again.digest) != (run.judgement["verdict"], run.judgement["digest"]):
            message = f"It was judged {run.judgement['verdict']} {run.judgement['digest']}."
            raise CommandError(message, returncode=1)

    def do_cancel(self, options: dict[str, Any]) -> None:
        try:
            run = actions.request_cancel(self._find(options["run"]), actor=local_actor(), reason="command line")
        except actions.WrongState as wrong:
            raise CommandError(str(wrong), returncode=INFRASTRUCTURE) from wrong
        self.stdout.write(f"Run {run.pk} is {run.state}; the cancel is on its way." if not run.verdict else run.reason)

    def do_list(self, options: dict[str, Any]) -> None:
        for run in GateRun.objects.select_related("policy").order_by("-pk")[:SHOWN]:
            policy, target = f"{run.policy.name} v{run.policy.number}", f"{run.target_kind} {run.target}"
            if options["json"]:
                facts = {"run": run.pk, "policy": policy, "target": target, "state": run.state, "reason": run.reason}
                self.stdout.write(json.dumps(facts))
            else:
                self.stdout.write(f"{run.pk:>6}  {run.state:<12}  {policy:<20}  {target:<24}  {run.reason}")

    def _wait(self, run: GateRun, options: dict[str, Any]) -> None:
        if not options["wait"]:
            return
        try:
            state = Pipeline(run.pk, self.stderr.write).follow()
        except WillNotStart as failure:
            raise CommandError(str(failure), returncode=INFRASTRUCTURE) from failure
        run = self._find(run.pk)
        for name in FILES:
            if options[name]:
                options[name].write_bytes(outputs.render(run, name))
        self.stdout.write(f"{state.upper()}: {run.reason}")
        raise SystemExit(EXIT[state])

    def _check_files(self, options: dict[str, Any]) -> None:
        """Before an hour of load, not after it."""
        wanted = [options[name] for name in FILES if options[name]]
        if wanted and not options["wait"]:
            raise CommandError("Files are written at the end of the run: add --wait.", returncode=INFRASTRUCTURE)
        for path in wanted:
            if not path.parent.is_dir():
                raise CommandError(f"There is no folder {path.parent}.", returncode=INFRASTRUCTURE)

    def _find(self, number: int) -> GateRun:
        run = GateRun.objects.select_related("policy").filter(pk=number).first()
        if run is None:
            raise CommandError(f"There is no run {number}.", returncode=INFRASTRUCTURE)
        return run

    def _add_verb(self, verbs: Any, name: str, words: str) -> Any:
        parser = verbs.add_parser(name, help=words)
        parser.add_argument("run", type=int, help="the number of the run")
        return parser

    def _add_waiting(self, parser: Any) -> None:
        parser.add_argument("--wait", action="store_true", help="execute it here, no worker needed; exit by verdict")
        for name, words in FILES.items():
            parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{words} (with --wait)")
