"""Leave for one stage, asked of people: single use, bound to digests, void when anything it was asked for changes."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from engines.actors import Actor
from gates import release_evidence as evidence
from gates import release_journal as journal
from gates.models import Approval, Release
from gates.release_journal import Moved
from gates.releases import Cause, State


class Refused(ValueError):
    """It is not done; the message is a sentence for the page."""


OPEN = (Approval.State.PENDING, Approval.State.APPROVED)


@transaction.atomic
def request(release: Release, target: int, *, actor: Actor, now: datetime) -> Approval:
    """The one open request of a release. Must run in the transaction that puts it to AWAITING_APPROVAL."""
    Approval.objects.filter(release=release, state__in=OPEN).update(
        state=Approval.State.WITHDRAWN, reason="asked again", decided_at=now
    )
    approval = Approval.objects.create(
        release=release, from_stage=release.stage, target_stage=target,
        candidate_digest=release.candidate_digest, policy_digest=release.policy.digest,
        evidence_digest=evidence.evidence_digest(release),
        requester_id=release.actor_id, requester_name=release.actor_name, requested_at=now,
        expires_at=now + timedelta(seconds=evidence.policy_of(release).approval_seconds),
    )  # fmt: skip
    journal.announce_approval(approval, "approval.requested", actor=actor, reason="", before="")
    return approval


def open_approval(release: Release) -> Approval | None:
    return Approval.objects.filter(release=release, state__in=OPEN).first()


@transaction.atomic
def approve(approval: Approval, *, actor: Actor, comment: str = "", reauthenticated: bool) -> Approval:
    """Raises Refused: own request, decided, expired, stale, or the release is elsewhere."""
    now = timezone.now()
    release = _release(approval)
    _may_decide(approval, release, actor, now)
    if actor.id == approval.requester_id:
        raise Refused("You requested this release; another person has to approve it.")
    if not reauthenticated:
        raise Refused("Confirm your password to approve.")
    stale = stale_reason(approval, release, now)
    if stale:
        # The refusal is kept: what follows runs outside of this transaction's error.
        raise Stale(stale)
    _decide(approval, Approval.State.APPROVED, actor=actor, comment=comment, now=now)
    journal.announce_approval(approval, "approval.approved", actor=actor, reason=comment, before="pending")
    try:
        journal.move(
            release, State.APPROVED, actor=actor, reason=comment or f"Approved {approval.target_stage} %.",
            target=approval.target_stage, evidence=_digests(approval),
        )  # fmt: skip
    except Moved as moved:
        raise Refused("The release changed at this moment; look again.") from moved
    return approval


class Stale(Refused):
    """Something that the approval was bound to has changed."""


@transaction.atomic
def break_glass(approval: Approval, *, actor: Actor, reason: str, incident: str) -> Approval:
    """Approve without a second person, in an emergency: needs its own permission, and tells all approvers."""
    now = timezone.now()
    release = _release(approval)
    _may_decide(approval, release, actor, now)
    if not reason.strip() or not incident.strip():
        raise Refused("Breaking the glass needs a reason and a link to the incident.")
    words = f"{reason} ({incident})"
    Approval.objects.filter(pk=approval.pk).update(break_glass=True)
    _decide(approval, Approval.State.APPROVED, actor=actor, comment=words, now=now)
    journal.announce_approval(approval, "approval.break_glass", actor=actor, reason=words, before="pending")
    try:
        journal.move(
            release, State.APPROVED, actor=actor, reason=f"Glass broken: {words}",
            target=approval.target_stage, evidence=_digests(approval),
        )  # fmt: skip
    except Moved as moved:
        raise Refused("The release changed at this moment; look again.") from moved
    return approval


@transaction.atomic
def reject(approval: Approval, *, actor: Actor, comment: str) -> Approval:
    """At weight 0 the release is REJECTED, above it rolls back. Raises Refused."""
    now = timezone.now()
    release = _release(approval)
    _may_decide(approval, release, actor, now)
    if not comment.strip():
        raise Refused("Say why: a rejection needs a comment.")
    _decide(approval, Approval.State.REJECTED, actor=actor, comment=comment, now=now)
    journal.announce_approval(approval, "approval.rejected", actor=actor, reason=comment, before="pending")
    try:
        if release.stage == 0:
            journal.move(release, State.REJECTED, actor=actor, reason=comment)
        else:
            journal.move(release, State.ROLLING_BACK, actor=actor, reason=comment, cause=Cause.REJECTED)
    except Moved as moved:
        raise Refused("The release changed at this moment; look again.") from moved
    return approval


@transaction.atomic
def close(release: Release, state: Approval.State, *, actor: Actor, reason: str, now: datetime) -> None:
    """The open request, if any, ends as stale, expired, used or withdrawn."""
    approval = open_approval(release)
    if approval is None:
        return
    before = approval.state
    Approval.objects.filter(pk=approval.pk, state__in=OPEN).update(state=state, reason=reason[:500])
    approval.refresh_from_db()
    journal.announce_approval(approval, f"approval.{state}", actor=actor, reason=reason, before=before)


def stale_reason(approval: Approval, release: Release, now: datetime) -> str:
    """Empty while all that it was asked for still holds."""
    if approval.candidate_digest != release.candidate_digest or approval.policy_digest != release.policy.digest:
        return "The candidate or the policy is not the one that was asked for."
    if approval.evidence_digest != evidence.evidence_digest(release):
        return "The evidence is not the one that was asked for."
    return evidence.drift(release, now)


def _release(approval: Approval) -> Release:
    return Release.objects.select_related("policy", "gate_run").get(pk=approval.release_id)


def _may_decide(approval: Approval, release: Release, actor: Actor, now: datetime) -> None:
    approval.refresh_from_db()
    if approval.state != Approval.State.PENDING:
        who = f" by {approval.decided_by_name}" if approval.decided_by_name else ""
        raise Refused(f"This request is {approval.get_state_display().lower()}{who} already.")
    if release.state != State.AWAITING_APPROVAL:
        raise Refused(f"Release {release.pk} is {release.state.replace('_', ' ')}; there is nothing to decide.")
    if now >= approval.expires_at:
        raise Refused("This request has expired.")


def _decide(approval: Approval, state: Approval.State, *, actor: Actor, comment: str, now: datetime) -> None:
    decided = Approval.objects.filter(pk=approval.pk, state=Approval.State.PENDING).update(
        state=state, decided_by_id=actor.id, decided_by_name=actor.name, decided_at=now, comment=comment[:1000]
    )
    if not decided:
        raise Refused("Somebody else decided at this moment.")
    approval.refresh_from_db()


def _digests(approval: Approval) -> dict[str, str]:
    return {
        "candidate": approval.candidate_digest,
        "policy": approval.policy_digest,
        "evidence": approval.evidence_digest,
    }
