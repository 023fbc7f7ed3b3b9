"""`manage.py evidence make|verify|key`: signed evidence of gate runs, judged again by whoever checks it."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gates import evidence, outputs, thinning
from gates.models import GateRun


class Command(BaseCommand):
    help = "Make or verify signed evidence of a gate run (in-toto statement in DSSE, ed25519)."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        make = verbs.add_parser("make", help="write the evidence of an ended run")
        make.add_argument("run", type=int)
        make.add_argument("file", type=Path)
        verify = verbs.add_parser("verify", help="check the signature and judge the samples again; exit code 1 if not")
        verify.add_argument("file", type=Path)
        verify.add_argument(
            "--key", type=Path, metavar="PEM", help="public key of who signed (default: this console's)"
        )
        verbs.add_parser("key", help="print this console's public key")

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, options["verb"])(options)

    def make(self, options: dict[str, Any]) -> None:
        run = GateRun.objects.select_related("policy").filter(pk=options["run"]).first()
        if run is None or not run.judgement:
            raise CommandError(f"There is no judged run {options['run']}.")
        options["file"].write_bytes(outputs.render(run, "evidence"))
        if words := thinning.gone_words(run):
            self.stderr.write(f"{words} The file holds the signed statement alone.")

    def verify(self, options: dict[str, Any]) -> None:
        try:
            own = outputs.evidence_key().public_key()
            key = evidence.public_from_pem(options["key"].read_bytes()) if options["key"] else own
            envelope, policy, samples = evidence.unpack(options["file"].read_bytes())
            found = evidence.verify(envelope, key, samples, policy)
        except (OSError, ValueError) as failure:
            raise CommandError(str(failure)) from failure
        for problem in found.problems:
            self.stderr.write(problem)
        if not found.holds:
            raise CommandError("The evidence does not hold.")
        self.stdout.write(f"It holds: {found.judged.verdict}, {len(samples or ())} samples, {found.judged.digest}")

    def key(self, _options: dict[str, Any]) -> None:
        self.stdout.write(evidence.public_pem(outputs.evidence_key()).decode().strip())
