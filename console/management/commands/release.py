"""`manage.py release start|list|status|approve|reject|pause|resume|rollback|abort`, in the name of a person."""

import getpass
import json
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.models import User
from console.pages.release_view import word
from console.pages.releases import create
from console.permissions import Capability, holders, may
from gates import approvals, release_actions
from gates.approvals import Refused, open_approval
from gates.models import Approval, Release

SHOWN = 20
PASSWORD = "CONSOLE_PASSWORD"  # noqa: S105  the name of a variable


class Command(BaseCommand):
    help = f"Request releases and look after them. --as names who acts; approving asks for the password ({PASSWORD})."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        start = verbs.add_parser("start", help="request a release; its gate begins at once")
        start.add_argument("--route", required=True)
        start.add_argument("--candidate", required=True, metavar="ENGINE")
        start.add_argument("--policy", default="standard")
        start.add_argument("--evidence", type=int, metavar="RUN", help="a passed gate run of the very same candidate")
        start.add_argument("--note", required=True, help="why, for the audit")
        verbs.add_parser("list", help=f"the newest {SHOWN}").add_argument("--json", action="store_true")
        for verb, words in (
            ("status", "one release, with what waits"),
            ("approve", "approve the step that it asks for"),
            ("reject", "reject the step that it asks for"),
            ("pause", "stop the next step, not the detectors"),
            ("resume", "go on where it was paused"),
            ("rollback", "the canary to 0 %, at any time"),
            ("abort", "end it; above 0 % it rolls back"),
        ):
            one = verbs.add_parser(verb, help=words)
            one.add_argument("release", type=int)
            one.add_argument("--reason", default="", help="for the journal and the audit")
        for name, one in verbs.choices.items():
            if name not in {"list", "status"}:
                one.add_argument("--as", dest="user", required=True, metavar="NAME", help="who acts")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"do_{options['verb']}")(options)
        except Refused as refused:
            raise CommandError(str(refused)) from refused

    def do_start(self, options: dict[str, Any]) -> None:
        release = create(options, actor=person(options, Capability.OPERATE).actor)
        self.stdout.write(f"Release {release.pk}: {word(release)}. {release.reason}")

    def do_list(self, options: dict[str, Any]) -> None:
        for release in Release.objects.select_related("policy").order_by("-pk")[:SHOWN]:
            if options["json"]:
                facts = {"release": release.pk, "state": release.state, "route": release.route}
                self.stdout.write(json.dumps({**facts, "candidate": release.candidate, "stage": release.stage}))
            else:
                self.stdout.write(f"{release.pk:>6}  {word(release):<24}  {release.candidate} of {release.route}")

    def do_status(self, options: dict[str, Any]) -> None:
        release = find(options["release"])
        self.stdout.write(f"Release {release.pk}: {word(release)}, {release.stage} % of {release.route}")
        self.stdout.write(f"{release.candidate} for {release.baseline}, policy {release.policy}. {release.reason}")
        approval = open_approval(release)
        if approval is not None and approval.state == Approval.State.PENDING:
            self.stdout.write(f"A-{approval.pk} waits: {approval.from_stage} % → {approval.target_stage} %")

    def do_approve(self, options: dict[str, Any]) -> None:
        user = person(options, Capability.APPROVE)
        password = os.environ.get(PASSWORD) or getpass.getpass(f"Password of {user.username}: ")
        if not user.check_password(password):
            raise CommandError("This password is not right.")
        found = pending(options["release"])
        approvals.approve(found, actor=user.actor, comment=options["reason"], reauthenticated=True)
        self.stdout.write(f"A-{found.pk} approved.")

    def do_reject(self, options: dict[str, Any]) -> None:
        found = pending(options["release"])
        approvals.reject(found, actor=person(options, Capability.APPROVE).actor, comment=options["reason"])
        self.stdout.write(f"A-{found.pk} rejected.")

    def do_pause(self, options: dict[str, Any]) -> None:
        self._act(options, release_actions.pause)

    def do_resume(self, options: dict[str, Any]) -> None:
        self._act(options, release_actions.resume)

    def do_rollback(self, options: dict[str, Any]) -> None:
        self._act(options, release_actions.abort)

    def do_abort(self, options: dict[str, Any]) -> None:
        self._act(options, release_actions.abort)

    def _act(self, options: dict[str, Any], change: Any) -> None:
        actor = person(options, Capability.OPERATE).actor
        release = change(find(options["release"]), actor=actor, reason=options["reason"])
        self.stdout.write(f"Release {release.pk}: {word(release)}")


def person(options: dict[str, Any], capability: Capability) -> User:
    """Raises CommandError."""
    user = User.objects.filter(username=options["user"], is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user {options['user']}.")
    if not may(user, capability):
        raise CommandError(f"{user.username} may not {capability}: that needs {holders(capability)}.")
    return user


def find(number: int) -> Release:
    """Raises CommandError."""
    release = Release.objects.select_related("policy", "gate_run").filter(pk=number).first()
    if release is None:
        raise CommandError(f"There is no release {number}.")
    return release


def pending(number: int) -> Approval:
    """Raises CommandError."""
    approval = open_approval(find(number))
    if approval is None or approval.state != Approval.State.PENDING:
        raise CommandError(f"Release {number} asks for nothing now.")
    return approval
