"""What people and the reaper do to policies and runs: versions, queue, cancel, resume."""

import logging
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from kombu.exceptions import OperationalError

from engines.actors import BOOTSTRAP, Actor
from engines.models import Engine
from gates import journal, runs, thinning
from gates import policy as policies
from gates.models import GateEvent, GatePolicy, GateRun
from gates.policy import Policy
from gates.runs import State
from gates.signals import changed
from gates.tasks import start_gate_run
from routing.models import Route

log = logging.getLogger(__name__)

# A message that no worker took in this time is sent again, and then worth nothing itself.
MESSAGE_SECONDS = 60.0
BROKER_DOWN = "The message broker cannot be reached. It starts when the broker is back."
NO_WORKER = "No worker has taken it for 60 s: none runs, or all are busy. It starts when one is free."


class PolicyConflict(Exception):
    """Somebody saved the policy since the form was opened. `current` is the newest version."""

    def __init__(self, current: GatePolicy | None) -> None:
        super().__init__(f"The policy is at version {current.number if current else 0}.")
        self.current = current


class UnknownTarget(ValueError):
    """No engine or route has that name."""


class WrongState(Exception):
    """The run is in no state for that; the message says which it is in."""


@transaction.atomic
def create_policy(name: str, policy: Policy, *, actor: Actor, reason: str, expected: int | None = None) -> GatePolicy:
    """The next version. `expected` is the version the editor began with. Raises PolicyConflict, InvalidPolicy."""
    policy = replace(policy, name=name)
    policies.check(policy)
    current = newest(name)
    number = current.number if current else 0
    if expected is not None and expected != number:
        raise PolicyConflict(current)
    try:
        with transaction.atomic():
            version = GatePolicy.objects.create(
                name=name,
                number=number + 1,
                body=policies.to_json(policy),
                digest=policies.digest(policy),
                actor_name=actor.name,
                reason=reason,
                at=timezone.now(),
            )
    except IntegrityError as taken:
        raise PolicyConflict(newest(name)) from taken
    before = {"version": number, "digest": current.digest} if current else {}
    after = {"version": version.number, "digest": version.digest}
    changed.send(
        GatePolicy, action="policy.save", subject=f"policy:{name}", actor=actor, reason=reason,
        before=before, after=after,
    )  # fmt: skip
    return version


@transaction.atomic
def ensure_built_in() -> None:
    """`standard` and `quick` exist; what operators made of them since is left alone."""
    for name, policy in policies.BUILT_IN.items():
        if newest(name) is None:
            create_policy(name, policy, actor=BOOTSTRAP, reason="built in")


def newest(name: str) -> GatePolicy | None:
    return GatePolicy.objects.filter(name=name).order_by("-number").first()


def newest_versions() -> list[GatePolicy]:
    """The version in force of every policy, by name."""
    numbers = dict(GatePolicy.objects.values_list("name").annotate(last=Max("number")))
    return [row for row in GatePolicy.objects.order_by("name") if numbers[row.name] == row.number]


@transaction.atomic
def create_run(
    policy: GatePolicy,
    target_kind: str,
    target: str,
    *,
    actor: Actor,
    note: str = "",
    baseline: GateRun | None = None,
    seed: int | None = None,
    hand_to_worker: bool = True,
) -> GateRun:
    """A QUEUED run. Without `hand_to_worker` the caller starts it itself. Raises UnknownTarget."""
    model = Engine if target_kind == GateRun.Target.ENGINE else Route
    if not model.objects.filter(name=target).exists():
        raise UnknownTarget(f"No {GateRun.Target(target_kind).label.lower()} is named {target}.")
    now = timezone.now()
    run = GateRun.objects.create(
        policy=policy, target_kind=target_kind, target=target, state=State.QUEUED, state_since=now, created_at=now,
        seed=secrets.randbits(31) if seed is None else seed, baseline=baseline, note=note,
        actor_kind=actor.kind, actor_id=actor.id, actor_name=actor.name,
        published_at=None if hand_to_worker else now,
    )  # fmt: skip
    journal.announce(run.pk, "gate.create", actor=actor, reason=note, before="", after=State.QUEUED)
    if hand_to_worker:
        transaction.on_commit(partial(publish, run))
    return run


def publish(run: GateRun, now: datetime | None = None) -> bool:
    """Hand a queued run to the workers, once a minute at most, unless its engine is under test.

    False when the broker cannot be reached: the run then says so, and the reaper tries again.
    """
    now = now or timezone.now()
    queued = GateRun.objects.filter(pk=run.pk, state=State.QUEUED).first()
    if queued is None or (queued.published_at and queued.published_at > now - timedelta(seconds=MESSAGE_SECONDS)):
        return True
    other = journal.blocker(queued)
    if other is not None:
        journal.wait(queued.pk, journal.waiting_reason(other))
        return True
    try:
        start_gate_run.apply_async([queued.pk], expires=MESSAGE_SECONDS, retry=False)
    except (OperationalError, OSError) as failure:
        log.warning("Run %s waits: the broker cannot be reached (%s).", queued.pk, failure)
        journal.wait(queued.pk, BROKER_DOWN)
        return False
    reason = NO_WORKER if queued.published_at else ""
    GateRun.objects.filter(pk=queued.pk, state=State.QUEUED).update(published_at=now, reason=reason)
    return True


@transaction.atomic
def request_cancel(run: GateRun, *, actor: Actor, reason: str = "") -> GateRun:
    """A run that nobody executes is cancelled at once; else its process stops the load. Raises WrongState."""
    now = timezone.now()
    run = GateRun.objects.select_for_update().get(pk=run.pk)
    before, after = State(run.state), State.CANCELLED
    if before in runs.ACTIVE:
        after = State.CANCELLING
        GateRun.objects.filter(pk=run.pk, cancel_requested_at=None).update(cancel_requested_at=now)
    elif runs.allowed(before, State.CANCELLED):
        why = f"Cancelled by {actor.name}."
        moved = GateRun.objects.filter(pk=run.pk, state=before, fence=run.fence).update(
            state=State.CANCELLED, state_since=now, verdict=State.CANCELLED.value, reason=why, finished_at=now,
            cancel_requested_at=now, fence=run.fence + 1,
        )  # fmt: skip
        if not moved:
            raise WrongState("The run changed at this moment; try again.")
        journal.record(run.pk, before, State.CANCELLED, why, now, actor=actor)
    else:
        raise WrongState(f"The run is {before}; there is nothing to cancel.")
    GateEvent.objects.create(run=run, at=now, kind="cancel", text=f"{actor.name} asked to cancel.")
    journal.announce(run.pk, "gate.cancel", actor=actor, reason=reason, before=before, after=after)
    run.refresh_from_db()
    return run


@transaction.atomic
def resume(run: GateRun, *, actor: Actor, reason: str = "", hand_to_worker: bool = True) -> GateRun:
    """Back into the queue: finished phases are kept, the interrupted one runs again. Raises WrongState."""
    now = timezone.now()
    before = State(GateRun.objects.get(pk=run.pk).state)
    if before not in runs.RESUMABLE:
        raise WrongState(f"The run is {before}; only an interrupted or errored run can be resumed.")
    moved = GateRun.objects.filter(pk=run.pk, state=before).update(
        state=State.QUEUED, state_since=now, verdict="", reason="", finished_at=None, cancel_requested_at=None,
        published_at=None if hand_to_worker else now, judgement={},
    )  # fmt: skip
    if not moved:
        raise WrongState("The run changed at this moment; try again.")
    if gone := thinning.gone_words(run):
        raise WrongState(f"{gone} Start a new run.")
    journal.record(run.pk, before, State.QUEUED, reason or "resumed", now, actor=actor)
    GateEvent.objects.create(run=run, at=now, kind="resume", text=f"{actor.name} resumed the run.")
    journal.announce(run.pk, "gate.resume", actor=actor, reason=reason, before=before, after=State.QUEUED)
    if hand_to_worker:
        transaction.on_commit(partial(publish, run))
    run.refresh_from_db()
    return run
