"""What the process that executes a run writes. Every write holds only while it has the run: by id and fence.

A process that lost the run (its lease ran out and the reaper or another process moved the fence) gets LeaseLost
and must stop; nothing it still has in hand is kept.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Max

from engines.actors import Actor
from engines.models import Engine
from gates import runs
from gates.load.samples import Sample, to_json
from gates.models import FailoverRun, GateEvent, GatePhase, GatePoint, GateRun, GateStudy, GateTransition, SampleBatch
from gates.runs import State
from gates.signals import changed
from gates.study_states import HELD
from gates.verdict import GeneratorHealth, PhaseEnd
from routing.models import Route
from routing.publish import members_from_json

log = logging.getLogger(__name__)

# With a renewal each 5 s and a reaper each 5 s a killed run is INTERRUPTED within 60 s.
LEASE_SECONDS = 50.0
RENEW_SECONDS = 5.0
EXECUTOR = Actor("process", "gate", "gate run")


class LeaseLost(Exception):
    """The run is no longer this process's."""


@transaction.atomic
def claim(run_id: int, holder: str, now: datetime) -> int | None:
    """Take a QUEUED run. The fencing number, or None when it is not queued or its engine is under test."""
    run = GateRun.objects.filter(pk=run_id, state=State.QUEUED).first()
    if run is None:
        return None
    _lock_engines(run)
    waits_for = blocker(run)
    if waits_for is not None:
        wait(run_id, waiting_reason(waits_for))
        return None
    taken = GateRun.objects.filter(pk=run_id, state=State.QUEUED, fence=run.fence).update(
        state=State.PREFLIGHT,
        state_since=now,
        reason="",
        lease_holder=holder,
        lease_until=now + timedelta(seconds=LEASE_SECONDS),
        fence=run.fence + 1,
        started_at=run.started_at or now,
    )
    if not taken:
        return None
    record(run_id, State.QUEUED, State.PREFLIGHT, f"taken by {holder}", now, actor=EXECUTOR)
    return run.fence + 1


def heartbeat(run_id: int, holder: str, fence: int, now: datetime) -> bool:
    """Renew the lease; False when the run is no longer ours."""
    until = now + timedelta(seconds=LEASE_SECONDS)
    held = _held(run_id, fence).filter(lease_holder=holder)
    return bool(held.update(lease_until=until))


@transaction.atomic
def move(run_id: int, fence: int, before: State, after: State, *, reason: str, now: datetime, phase: str = "") -> None:
    """Raises LeaseLost, or moves.Forbidden for a change that the table lacks."""
    runs.check(before, after)
    moved = _held(run_id, fence).filter(state=before).update(state=after, state_since=now, phase=phase)
    if not moved:
        raise LeaseLost(f"run {run_id}, fence {fence}")
    record(run_id, before, after, reason, now, actor=EXECUTOR)


@transaction.atomic
def finish(
    run_id: int,
    fence: int,
    before: State,
    after: State,
    *,
    reason: str,
    now: datetime,
    judgement: Mapping[str, Any] | None = None,
) -> None:
    """End the run in `after`, give the lease back and announce it. Raises LeaseLost."""
    runs.check(before, after)
    facts: dict[str, Any] = {} if judgement is None else {"judgement": dict(judgement)}
    verdict = after.value if after in runs.VERDICTS else ""
    moved = _held(run_id, fence).filter(state=before).update(
        state=after, state_since=now, phase="", verdict=verdict, reason=reason[:500], finished_at=now,
        lease_holder="", lease_until=None, fence=F("fence") + 1, **facts,
    )  # fmt: skip
    if not moved:
        raise LeaseLost(f"run {run_id}, fence {fence}")
    record(run_id, before, after, reason, now, actor=EXECUTOR)
    announce(run_id, f"gate.{after}", actor=EXECUTOR, reason=reason, before=before, after=after)


@transaction.atomic
def describe(run_id: int, fence: int, *, plan_digest: str, fingerprint: Mapping[str, Any]) -> None:
    """What is about to be tested, and with which plan. Raises LeaseLost."""
    if not _held(run_id, fence).update(plan_digest=plan_digest, fingerprint=dict(fingerprint)):
        raise LeaseLost(f"run {run_id}, fence {fence}")


@transaction.atomic
def begin_phase(run_id: int, fence: int, phase: str, now: datetime) -> GatePhase:
    """A new attempt at the phase. Raises LeaseLost."""
    require(run_id, fence)
    last = GatePhase.objects.filter(run_id=run_id, phase=phase).aggregate(last=Max("attempt"))["last"]
    return GatePhase.objects.create(run_id=run_id, phase=phase, attempt=(last or 0) + 1, started_at=now)


@transaction.atomic
def end_phase(
    row: GatePhase,
    fence: int,
    *,
    end: PhaseEnd,
    generator: GeneratorHealth,
    server: Mapping[str, Any],
    kept: bool,
    now: datetime,
) -> None:
    """An attempt that was stopped from outside is not kept. Raises LeaseLost."""
    require(row.run_id, fence)
    GatePhase.objects.filter(pk=row.pk).update(
        ended_at=now, kept=kept, end=asdict(end), generator=asdict(generator), server=dict(server)
    )


@transaction.atomic
def append(
    row: GatePhase | None,
    run_id: int,
    fence: int,
    *,
    samples: Sequence[Sample],
    point: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """One second of a run: its samples, if any, and its point. Raises LeaseLost."""
    require(run_id, fence)
    if row is not None and samples:
        last = SampleBatch.objects.filter(phase=row).aggregate(last=Max("sequence"))["last"]
        rows = [to_json(sample) for sample in samples]
        SampleBatch.objects.create(phase=row, sequence=(last or 0) + 1, rows=rows)
    if point is not None:
        GatePoint.objects.create(run_id=run_id, at=now, phase=point.get("phase") or "", body=dict(point))


@transaction.atomic
def note_event(run_id: int, fence: int, kind: str, text: str, now: datetime) -> None:
    """Raises LeaseLost."""
    require(run_id, fence)
    GateEvent.objects.create(run_id=run_id, at=now, kind=kind, text=text[:500])


@transaction.atomic
def abandon(run_id: int, holder: str, reason: str, now: datetime) -> bool:
    """The process that held the run is known to be gone; True when the run was still in its hands."""
    run = GateRun.objects.filter(pk=run_id, lease_holder=holder, state__in=runs.ACTIVE).first()
    return run is not None and bury(run, reason, now)


@transaction.atomic
def bury(run: GateRun, reason: str, now: datetime) -> bool:
    """End a run whose process is gone. The fence moves, so a process that only slept can write no more."""
    before = State(run.state)
    after = runs.after_death(cancel_requested=before is State.CANCELLING or run.cancel_requested_at is not None)
    steps = (State.CANCELLING, after) if after is State.CANCELLED and before is not State.CANCELLING else (after,)
    moved = GateRun.objects.filter(
        pk=run.pk, state=run.state, fence=run.fence, lease_until=run.lease_until
    ).update(
        state=after, state_since=now, verdict=after.value if after in runs.VERDICTS else "", reason=reason,
        finished_at=now, lease_holder="", lease_until=None, fence=run.fence + 1,
    )  # fmt: skip
    if not moved:
        return False
    for step in steps:
        record(run.pk, before, step, reason, now, actor=EXECUTOR)
        before = step
    GateEvent.objects.create(run_id=run.pk, at=now, kind=after.value, text=reason)
    announce(run.pk, f"gate.{after}", actor=EXECUTOR, reason=reason, before=State(run.state), after=after)
    return True


def wait(run_id: int, reason: str) -> None:
    """Say why a queued run does not start."""
    queued = GateRun.objects.filter(pk=run_id, state=State.QUEUED).exclude(reason=reason)
    queued.update(reason=reason, published_at=None)


def blocker(run: GateRun) -> GateRun | GateStudy | FailoverRun | None:
    """The run, study or failover gate that has this one's engine now."""
    return loader_of(engines_of(run), but=run.pk or 0)


def loader_of(engines: frozenset[str], *, but: int = 0) -> GateRun | GateStudy | FailoverRun | None:
    """The run (other than `but`), study or failover gate that loads one of these engines now."""
    active = GateRun.objects.filter(state__in=runs.ACTIVE).exclude(pk=but).order_by("pk")
    held = GateStudy.objects.filter(state__in=HELD).order_by("pk")
    run = next((other for other in active if engines_of(other) & engines), None)
    failover = FailoverRun.objects.filter(state=State.RUNNING).order_by("pk")
    return (
        run
        or next((study for study in held if engines_of_study(study) & engines), None)
        or next((gate for gate in failover if {gate.engine, gate.other} & engines), None)
    )


def waiting_reason(other: GateRun | GateStudy | FailoverRun) -> str:
    if isinstance(other, FailoverRun):
        return f"Waits for failover gate {other.pk}, which tries {other.engine} and {other.other}."
    if isinstance(other, GateRun):
        return f"Waits for run {other.pk}, which tests {other.target}."
    return f"Waits for study {other.pk}, which loads {other.target}."


def engines_of_study(study: GateStudy) -> frozenset[str]:
    return frozenset({study.target, study.baseline} - {""})


def engines_of(run: GateRun) -> frozenset[str]:
    """The engines that a run loads: one, or those that its route gives weight."""
    if run.target_kind == GateRun.Target.ENGINE:
        return frozenset({run.target})
    route = Route.objects.filter(name=run.target).first()
    if route is None:
        return frozenset()
    return frozenset(member.engine for member in members_from_json(route.current().members) if member.weight)


def require(run_id: int, fence: int) -> None:
    """Hold the run's row until the transaction ends. Raises LeaseLost."""
    if not _held(run_id, fence).select_for_update().values_list("pk", flat=True):
        raise LeaseLost(f"run {run_id}, fence {fence}")


def record(run_id: int, before: State, after: State, reason: str, now: datetime, *, actor: Actor) -> None:
    GateTransition.objects.create(
        run_id=run_id, before=before, after=after, actor_name=actor.name, reason=reason[:500], at=now
    )


def announce(run_id: int, action: str, *, actor: Actor, reason: str, before: State | str, after: State) -> None:
    old = {"state": str(before)} if before else {}
    subject = f"gate:{run_id}"
    changed.send(
        GateRun, action=action, subject=subject, actor=actor, reason=reason, before=old, after={"state": str(after)}
    )


def _held(run_id: int, fence: int) -> Any:
    return GateRun.objects.filter(pk=run_id, fence=fence, state__in=runs.ACTIVE)


def _lock_engines(run: GateRun) -> None:
    """Two claims for one engine wait for each other (SQLite has one writer anyway)."""
    list(Engine.objects.select_for_update().filter(name__in=engines_of(run)).order_by("name"))
