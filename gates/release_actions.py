"""What people do to releases: create, run the gate again, waive, pause, resume, roll back, abort, reject."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from engines.actors import Actor
from engines.models import Engine
from gates import actions as gate_actions
from gates import approvals, releases, thinning
from gates import release_evidence as evidence
from gates import release_journal as journal
from gates.approvals import Refused
from gates.models import Approval, GateRun, Release, ReleasePolicyVersion
from gates.moves import Forbidden
from gates.release_journal import Moved
from gates.release_policy import ReleasePolicy, from_json
from gates.releases import TERMINAL, Cause, Pause, State
from routing.models import Route
from routing.publish import members_from_json
from routing.shares import has_weight_beside, weight_of
from routing.table import Member

CHANGED = "The release changed at this moment; look again."


@transaction.atomic
def create_release(
    route: str,
    candidate: str,
    policy: ReleasePolicyVersion,
    *,
    actor: Actor,
    note: str = "",
    retry_of: Release | None = None,
    gate_run: GateRun | None = None,
) -> Release:
    """A release in GATING: with a gate run of its own, or with `gate_run`, one of the very same candidate.

    A release that runs on the route is superseded. Raises Refused.
    """
    now = timezone.now()
    found = Route.objects.filter(name=route).first()
    if found is None:
        raise Refused(f"No route is named {route}.")
    members = members_from_json(found.current().members)
    _check_candidate(candidate, members, found)
    fingerprint = evidence.fingerprint(candidate)
    rules = from_json(policy.body)
    if gate_run is not None:
        _check_evidence(gate_run, candidate, fingerprint, rules, now)
    baseline = max((m for m in members if m.engine != candidate), key=lambda member: member.weight).engine
    release = Release.objects.create(
        route=route, candidate=candidate, baseline=baseline, policy=policy, state=State.DRAFT, state_since=now,
        members_before=found.current().members, fingerprint=fingerprint, candidate_digest=evidence.digest(fingerprint),
        retry_of=retry_of, note=note[:500], actor_kind=actor.kind, actor_id=actor.id, actor_name=actor.name,
        created_at=now,
    )  # fmt: skip
    journal.announce(release, "release.create", actor=actor, reason=note, before={})
    _supersede(release, actor=actor)
    run = gate_run or _start_gate(rules, candidate, release, actor)
    return journal.move(
        release, State.GATING, actor=actor, reason=f"Gate run {run.pk}.", gate_run=run, evidence=_named(run)
    )


@transaction.atomic
def rerun_gate(release: Release, *, actor: Actor) -> Release:
    """The candidate as it is now. Raises Refused."""
    _require(release, State.HELD)
    fingerprint = evidence.fingerprint(release.candidate)
    run = _start_gate(evidence.policy_of(release), release.candidate, release, actor)
    return _move(
        release, State.GATING, actor=actor, reason=f"Gate run {run.pk}.", gate_run=run, waiver={},
        fingerprint=fingerprint, candidate_digest=evidence.digest(fingerprint), evidence=_named(run),
    )  # fmt: skip


@transaction.atomic
def waive(release: Release, *, actor: Actor, reason: str, until: datetime) -> Release:
    """Go on although the gate did not pass. Shown red for ever. Raises Refused."""
    now = timezone.now()
    _require(release, State.HELD)
    if not reason.strip():
        raise Refused("A waiver needs a reason.")
    if not now < until <= now + timedelta(days=7):
        raise Refused("A waiver expires within the next 7 days.")
    if actor.id == release.actor_id:
        raise Refused("You requested this release; another person has to waive its gate.")
    waiver = {"reason": reason[:500], "by": actor.name, "at": now.isoformat(), "until": until.isoformat()}
    target = evidence.policy_of(release).stages[0].weight
    release = _move(
        release, State.AWAITING_APPROVAL, actor=actor, reason=f"Gate waived: {reason}", waiver=waiver, target=target
    )
    journal.announce(release, "release.waive", actor=actor, reason=reason, before={})
    approvals.request(release, target, actor=actor, now=now)
    return release


@transaction.atomic
def pause(release: Release, *, actor: Actor, reason: str) -> Release:
    """Stops the next step, not the detectors. Raises Refused."""
    if not releases.allowed(State(release.state), State.PAUSED):
        raise Refused(f"Release {release.pk} is {_words(release)}; there is nothing to pause.")
    return _move(
        release, State.PAUSED, actor=actor, reason=reason or "Paused by hand.", pause=Pause.MANUAL,
        resume_to=release.state,
    )  # fmt: skip


@transaction.atomic
def resume(release: Release, *, actor: Actor, reason: str = "") -> Release:
    """Back to where it was paused. After an override its own weight is written again. Raises Refused."""
    _require(release, State.PAUSED)
    now = timezone.now()
    to = State(release.resume_to)
    if release.pause == Pause.OVERRIDE:
        found = Route.objects.get(name=release.route)
        to = State.APPROVED if release.stage else to
        return _move(
            release, to, actor=actor, reason=reason or "Resumed: back to the weight of the stage.", pause="",
            resume_to="", target=release.stage, revision=found.revision, epoch=found.epoch,
        )  # fmt: skip
    release = _move(release, to, actor=actor, reason=reason or "Resumed.", pause="", resume_to="")
    if to is State.AWAITING_APPROVAL and approvals.open_approval(release) is None:
        approvals.request(release, release.target, actor=actor, now=now)
    return release


@transaction.atomic
def abort(release: Release, *, actor: Actor, reason: str = "", cause: Cause = Cause.ABORT) -> Release:
    """Wins over everything: at weight 0 it is over at once, above it the canary's weight goes. Raises Refused."""
    release = Release.objects.select_for_update(of=("self",)).select_related("policy", "gate_run").get(pk=release.pk)
    if release.state in TERMINAL:
        raise Refused(f"Release {release.pk} is {_words(release)} already.")
    if release.state == State.ROLLING_BACK:
        return release
    now = timezone.now()
    reason = reason or f"By {actor.name}."
    approvals.close(release, Approval.State.WITHDRAWN, actor=actor, reason=reason, now=now)
    if release.epoch is None:  # it never wrote a weight
        return _move(release, releases.end_of(cause), actor=actor, reason=reason, cause=cause, pause="")
    asked = {**release.rollback, "asked_at": now.isoformat()}
    return _move(
        release, State.ROLLING_BACK, actor=actor, reason=reason, cause=cause, pause="", resume_to="", rollback=asked
    )


@transaction.atomic
def reject_held(release: Release, *, actor: Actor, reason: str) -> Release:
    """Raises Refused."""
    _require(release, State.HELD)
    if not reason.strip():
        raise Refused("Say why: a rejection needs a comment.")
    return _move(release, State.REJECTED, actor=actor, reason=reason)


def active_release(route: str) -> Release | None:
    """The newest that is not over."""
    return Release.objects.active().filter(route=route).select_related("policy", "gate_run").order_by("-pk").first()


def cooling_until(candidate_digest: str, policy: ReleasePolicy, *, but: int) -> datetime | None:
    """The same candidate may not shift again before; None when it was not rolled back lately."""
    last = (
        Release.objects.filter(candidate_digest=candidate_digest, state=State.ROLLED_BACK)
        .exclude(pk=but).order_by("-finished_at").first()
    )  # fmt: skip
    if last is None or last.finished_at is None:
        return None
    return last.finished_at + timedelta(seconds=policy.cooldown_seconds)


def _check_candidate(candidate: str, members: Sequence[Member], route: Route) -> None:
    engine = Engine.objects.filter(name=candidate).first()
    if engine is None:
        raise Refused(f"No engine is named {candidate}.")
    if engine.state != Engine.State.ACTIVE:
        raise Refused(f"{candidate} is {engine.state}. Enable it first.")
    if route.owner:
        return  # the release that holds the weight now goes back first
    if weight_of(members, candidate):
        raise Refused(f"{candidate} has weight in {route.name} already. A release begins at 0 %: lower it first.")
    if not has_weight_beside(members, candidate):
        raise Refused(f"No other engine of {route.name} has weight, so there is no baseline.")


def _check_evidence(
    run: GateRun, candidate: str, fingerprint: dict[str, object], rules: ReleasePolicy, now: datetime
) -> None:
    if run.target_kind != GateRun.Target.ENGINE or run.target != candidate or not evidence.passed(run):
        raise Refused(f"Gate run {run.pk} is no passed run of {candidate}.")
    if run.policy.name != rules.gate_policy:
        raise Refused(f"Gate run {run.pk} went by policy {run.policy.name}, this release asks for {rules.gate_policy}.")
    if run.finished_at is None or now - run.finished_at > timedelta(seconds=rules.evidence_seconds):
        raise Refused(f"Gate run {run.pk} is too old.")
    if gone := thinning.gone_words(run):
        raise Refused(f"{gone} Nobody could judge it again.")
    tested = (run.fingerprint.get("engines") or [{}])[0]
    if evidence.digest(tested) != evidence.digest(fingerprint):
        raise Refused(f"{candidate} has changed since gate run {run.pk}.")


def _named(run: GateRun) -> dict[str, int]:
    """Of a transition: the run that a release went by, though another may follow."""
    return {"gate_run": run.pk}


def _start_gate(rules: ReleasePolicy, candidate: str, release: Release, actor: Actor) -> GateRun:
    version = gate_actions.newest(rules.gate_policy)
    if version is None:
        raise Refused(f"No gate policy is named {rules.gate_policy}.")
    target = GateRun.Target.ENGINE
    return gate_actions.create_run(version, target, candidate, actor=actor, note=f"release {release.pk}")


def _supersede(release: Release, *, actor: Actor) -> None:
    """A release that still has weight goes back first; this one waits for the route."""
    reason = f"Release {release.pk} takes its place."
    for older in Release.objects.active().filter(route=release.route, pk__lt=release.pk):
        abort(older, actor=actor, reason=reason, cause=Cause.SUPERSEDED)


def _require(release: Release, state: State) -> None:
    if release.state != state:
        raise Refused(f"Release {release.pk} is {_words(release)}, not {state.value.replace('_', ' ')}.")


def _move(release: Release, after: State, *, actor: Actor, reason: str, **fields: Any) -> Release:
    try:
        return journal.move(release, after, actor=actor, reason=reason, **fields)
    except Moved as moved:
        raise Refused(CHANGED) from moved
    except Forbidden as forbidden:
        raise Refused(str(forbidden)) from forbidden


def _words(release: Release) -> str:
    return release.state.replace("_", " ")
