"""How a release changes: one compare-and-set on its version, a transition row, the signal that audits it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from engines.actors import Actor
from gates import releases
from gates.models import Approval, Release, ReleaseTransition
from gates.releases import State
from gates.signals import changed

CONTROLLER = Actor("process", "controller", "controller")


class Moved(Exception):
    """Somebody else changed the release since it was read: look again."""


@transaction.atomic
def move(
    release: Release,
    after: State,
    *,
    actor: Actor,
    reason: str,
    now: datetime | None = None,
    evidence: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Release:
    """`fields` are further columns. Raises Moved, or moves.Forbidden for a change that the table lacks."""
    before = State(release.state)
    releases.check(before, after)
    now = now or timezone.now()
    if after in releases.TERMINAL:
        fields.setdefault("finished_at", now)
    reason = reason[:500]
    moved = Release.objects.filter(pk=release.pk, version=release.version, state=before).update(
        state=after, state_since=now, version=F("version") + 1, reason=reason, **fields
    )
    if not moved:
        raise Moved(f"release {release.pk}")
    stage_before = release.stage
    release.refresh_from_db()
    ReleaseTransition.objects.create(
        release=release, before=before, after=after, stage=release.stage, actor_name=actor.name, reason=reason,
        at=now, evidence=dict(evidence or {}),
    )  # fmt: skip
    announce(release, f"release.{after}", actor=actor, reason=reason, before={"state": before, "stage": stage_before})
    return release


@transaction.atomic
def note(release: Release, **fields: Any) -> Release:
    """Facts that change nothing for people: no transition, no audit. Raises Moved."""
    moved = Release.objects.filter(pk=release.pk, version=release.version).update(version=F("version") + 1, **fields)
    if not moved:
        raise Moved(f"release {release.pk}")
    release.refresh_from_db()
    return release


def announce(release: Release, action: str, *, actor: Actor, reason: str, before: Mapping[str, Any]) -> None:
    after = {
        "state": release.state,
        "route": release.route,
        "candidate": release.candidate,
        "stage": release.stage,
        "target": release.target,
    }
    extra = {name: value for name, value in (("pause", release.pause), ("cause", release.cause)) if value}
    changed.send(
        Release, action=action, subject=f"release:{release.pk}", actor=actor, reason=reason, before=dict(before),
        after={**after, **extra},
    )  # fmt: skip


def announce_approval(approval: Approval, action: str, *, actor: Actor, reason: str, before: str) -> None:
    release = approval.release
    after = {
        "state": approval.state,
        "release": release.pk,
        "route": release.route,
        "candidate": release.candidate,
        "stage": f"{approval.from_stage} → {approval.target_stage} %",
    }
    changed.send(
        Approval, action=action, subject=f"approval:{approval.pk}", actor=actor, reason=reason[:500],
        before={"state": before} if before else {}, after=after,
    )  # fmt: skip


def owner_of(release: Release) -> str:
    """The name by which routing knows it."""
    return f"release:{release.pk}"
