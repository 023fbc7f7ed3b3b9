"""How a step is taken: each in one transaction, except the roll-back, whose intent is written before its effect."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from gates import approvals
from gates import release_journal as journal
from gates.models import Approval, Release
from gates.release_evidence import policy_of
from gates.release_journal import CONTROLLER, owner_of
from gates.release_view import Act, Step
from gates.releases import Pause, State
from routing import canary
from routing.actions import Conflict, InvalidSplit
from routing.models import Route, RouteRevision
from routing.publish import members_from_json, renew_leases, table_in_force


def take(release: Release, step: Step, now: datetime) -> Release:
    """Raises release_journal.Moved when somebody else was first; the next look decides anew."""
    return _ACTS[step.act](release, step, now)


@transaction.atomic
def _plain(release: Release, step: Step, now: datetime) -> Release:
    return journal.move(
        release, step.after, actor=CONTROLLER, reason=step.reason, now=now, **_fields(release, step, now)
    )


@transaction.atomic
def _ask(release: Release, step: Step, now: datetime) -> Release:
    release = _plain(release, step, now)
    approvals.request(release, release.target, actor=CONTROLLER, now=now)
    return release


@transaction.atomic
def _close(release: Release, step: Step, now: datetime) -> Release:
    state = Approval.State.EXPIRED if step.act is Act.EXPIRE else Approval.State.STALE
    approvals.close(release, state, actor=CONTROLLER, reason=step.reason, now=now)
    return _plain(release, step, now)


@transaction.atomic
def _shift(release: Release, step: Step, now: datetime) -> Release:
    """The weight, the use of the approval and the new state together, or none of them."""
    try:
        with transaction.atomic():
            revision, members_before = _write_weight(release, now)
    except (canary.NotOwner, Conflict) as elsewhere:
        raise journal.Moved(str(elsewhere)) from elsewhere
    except (InvalidSplit, ValueError) as refused:
        return _refused(release, str(refused), now)
    approvals.close(release, Approval.State.USED, actor=CONTROLLER, reason=step.reason, now=now)
    route = Route.objects.get(name=release.route)
    evidence = {"revision": revision.number, "epoch": route.epoch, **_table()}
    return journal.move(
        release, State.SHIFTING, actor=CONTROLLER, reason=step.reason, now=now,
        revision=revision.number, epoch=route.epoch,
        members_before=members_before, observed=_table(), evidence=evidence,
    )  # fmt: skip


def _write_weight(release: Release, now: datetime) -> tuple[RouteRevision, list[Mapping[str, Any]]]:
    owner = owner_of(release)
    route = canary.own(release.route, owner, actor=CONTROLLER, reason=f"release {release.pk}")
    before = release.members_before if release.stage else route.current().members
    renew_leases([release.route], now)
    revision = canary.shift(
        release.route, owner, before=members_from_json(before), canary=release.candidate, weight=release.target,
        expected=route.revision, epoch=route.epoch if release.epoch is None else release.epoch,
        actor=CONTROLLER, reason=f"release {release.pk}: {release.target} %",
    )  # fmt: skip
    return revision, before


def _refused(release: Release, why: str, now: datetime) -> Release:
    if release.stage == 0:
        return journal.move(release, State.HELD, actor=CONTROLLER, reason=why, now=now)
    return journal.move(
        release, State.PAUSED, actor=CONTROLLER, reason=why, now=now, pause=Pause.MANUAL, resume_to=State.APPROVED
    )


def _zero(release: Release, step: Step, now: datetime) -> Release:
    """First the intent, then the weight: whoever finds the intent without the effect does it again."""
    if release.state != State.ROLLING_BACK:
        with transaction.atomic():
            asked = {**release.rollback, "decided_at": now.isoformat(), "asked_at": now.isoformat()}
            approvals.close(release, Approval.State.WITHDRAWN, actor=CONTROLLER, reason=step.reason, now=now)
            release = journal.move(
                release, State.ROLLING_BACK, actor=CONTROLLER, reason=step.reason, now=now,
                cause=step.cause or "", pause="",
                resume_to="", rollback=asked,
            )  # fmt: skip
    cut_after = now.timestamp() + policy_of(release).drain_seconds
    with transaction.atomic():
        revision = canary.zero(
            release.route, owner_of(release), before=members_from_json(release.members_before),
            canary=release.candidate, cut_after=cut_after, actor=CONTROLLER, reason=release.reason,
        )  # fmt: skip
        return journal.note(release, revision=revision.number, observed={**release.observed, **_table()})


@transaction.atomic
def _finalise(release: Release, step: Step, now: datetime) -> Release:
    try:
        with transaction.atomic():
            canary.finalise(
                release.route, owner_of(release), canary=release.candidate, epoch=release.epoch or 0,
                actor=CONTROLLER, reason=step.reason,
            )  # fmt: skip
    except (canary.NotOwner, ValueError) as elsewhere:
        raise journal.Moved(str(elsewhere)) from elsewhere
    return _plain(release, step, now)


@transaction.atomic
def _end(release: Release, step: Step, now: datetime) -> Release:
    canary.disown(release.route, owner_of(release), actor=CONTROLLER, reason=step.reason)
    streams = release.observed.get("streams", {})
    done = {**release.rollback, "zero_at": now.isoformat(), **{f"streams_{key}": streams[key] for key in streams}}
    return journal.move(
        release, step.after, actor=CONTROLLER, reason=f"{release.reason} {step.reason}".strip(),
        now=now, stage=0, target=0,
        rollback=done,
    )  # fmt: skip


def _fields(release: Release, step: Step, now: datetime) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if step.target is not None:
        fields["target"] = step.target
    if step.after is State.PAUSED:
        fields |= {"pause": step.pause or Pause.MANUAL, "resume_to": release.state}
    elif release.state == State.PAUSED:
        fields |= {"pause": "", "resume_to": ""}
    if release.state == State.SHIFTING and step.after in {State.BAKING, State.PROMOTED}:
        fields |= {"stage": release.target, "stage_since": now}
    return fields


def _table() -> dict[str, Any]:
    """The table that gateways have to acknowledge; when they did is not known yet."""
    newest = table_in_force()
    return {"table": newest.version if newest else 0, "acknowledged_at": None, "reached": None}


_ACTS: dict[Act, Callable[[Release, Step, datetime], Release]] = {
    Act.NOTHING: _plain,
    Act.ASK: _ask,
    Act.VOID: _close,
    Act.EXPIRE: _close,
    Act.SHIFT: _shift,
    Act.ZERO: _zero,
    Act.FINALISE: _finalise,
    Act.END: _end,
}
