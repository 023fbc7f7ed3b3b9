"""What changes a failover run: queued, begun, staged, ended, and swept up after a process that died."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from engines import actions as engine_actions
from engines.actions import EngineSpec
from engines.actors import Actor
from engines.models import Engine
from gates import runs
from gates.failover import scenarios
from gates.failover.scenarios import Plan, Scenario
from gates.journal import engines_of
from gates.models import FailoverRun, GateRun
from gates.runs import State
from gates.signals import changed
from gates.tasks import start_failover
from routing import actions as routing_actions
from routing.models import Route
from routing.publish import members_from_json
from routing.table import Member, Role

log = logging.getLogger(__name__)

PROCESS = Actor("process", "failover", "failover gate")
LEASE = timedelta(seconds=40)
QUEUE_PATIENCE = timedelta(minutes=10)
GONE = "Its process fell silent; the temporary engine and route are removed. Start another."


class InvalidPair(ValueError):
    """These two engines of this route cannot be tried; the message says why."""


class NotRunning(Exception):
    """The run has ended, or another process has it."""


def check_pair(route: str, engine: str, other: str) -> None:
    """Raises InvalidPair."""
    found = Route.objects.filter(name=route).first()
    names = {member.engine for member in members_from_json(found.current().members)} if found else set()
    if engine == other or not {engine, other} <= names:
        raise InvalidPair(f"Name two different engines of the route {route}.")
    inactive = Engine.objects.filter(name__in=(engine, other)).exclude(state=Engine.State.ACTIVE).first()
    if inactive is not None:
        raise InvalidPair(f"{inactive.name} is {inactive.state}; both engines must be active.")
    for run in GateRun.objects.filter(state__in=runs.ACTIVE):
        if engines_of(run) & {engine, other}:
            raise InvalidPair(f"Gate run {run.pk} loads {run.target} now. Wait until it has ended.")
    if FailoverRun.objects.filter(state__in=(State.QUEUED, State.RUNNING)).exists():
        raise InvalidPair("Another failover gate is queued or running. Wait until it has ended.")


@transaction.atomic
def create(
    route: str, engine: str, other: str, plan: Plan, *, actor: Actor, reason: str = "", hand_to_worker: bool = True
) -> FailoverRun:
    """A QUEUED run. Raises InvalidPair, scenarios.InvalidPlan."""
    scenarios.check(plan)
    check_pair(route, engine, other)
    run = FailoverRun.objects.create(
        route=route, engine=engine, other=other, plan=asdict(plan), state=State.QUEUED,
        actor_name=actor.name, created_at=timezone.now(),
    )  # fmt: skip
    _announce(run, "failover.create", actor=actor, reason=reason, before="", after=State.QUEUED)
    if hand_to_worker:
        transaction.on_commit(partial(_publish, run.pk))
    return run


def plan_of(run: FailoverRun) -> Plan:
    return replace(Plan(**run.plan), scenarios=tuple(Scenario(name) for name in run.plan["scenarios"]))


@transaction.atomic
def begin(run_id: int, now: datetime) -> FailoverRun:
    """Raises NotRunning when somebody else took it, or it was cancelled."""
    taken = FailoverRun.objects.filter(pk=run_id, state=State.QUEUED)
    if not taken.update(state=State.RUNNING, lease_until=now + LEASE):
        raise NotRunning(f"Failover run {run_id} is not queued.")
    return FailoverRun.objects.get(pk=run_id)


@transaction.atomic
def stage(run_id: int, url: str) -> tuple[str, int]:
    """Put the stand-in at `url` and a route of its own in force. Its name, and the id of its replica."""
    run = _require(run_id)
    real = Engine.objects.get(name=run.engine)
    replica = real.replicas.order_by("-in_rotation", "pk").first()
    name, why = stage_name(run_id), f"failover run {run_id}"
    spec = EngineSpec(
        name=name, kind=real.kind, served_model=real.served_model, context_length=real.context_length,
        max_in_flight=real.max_in_flight, features=real.features,
    )  # fmt: skip
    key = replica.sealed_key if replica else ""
    made = engine_actions.register_engine(spec, replicas=[(url, key)], actor=PROCESS, reason=why)
    engine_actions.set_state(made, Engine.State.ACTIVE, actor=PROCESS, reason=why)
    members = [Member(name, Role.SPLIT, 100), Member(run.other, Role.STANDBY)]
    routing_actions.create_route(name, members, actor=PROCESS, reason=why)
    FailoverRun.objects.filter(pk=run_id).update(staged=True)
    return name, made.replicas.get().pk


@transaction.atomic
def strike(run_id: int) -> None:
    """Remove what `stage` made; nothing when that is done."""
    if not FailoverRun.objects.filter(pk=run_id, staged=True).update(staged=False):
        return
    name, why = stage_name(run_id), f"failover run {run_id} has ended"
    for route in Route.objects.filter(name=name):
        routing_actions.delete_route(route, actor=PROCESS, reason=why)
    for engine in Engine.objects.filter(name=name):
        routing_actions.remove_engine(engine, actor=PROCESS, reason=why)


def beat(run_id: int, step: str, now: datetime) -> bool:
    """Renew the lease and say what goes on. True when somebody asked to cancel. Raises NotRunning."""
    if not FailoverRun.objects.filter(pk=run_id, state=State.RUNNING).update(step=step, lease_until=now + LEASE):
        raise NotRunning(f"Failover run {run_id} is over.")
    return FailoverRun.objects.filter(pk=run_id, cancel_requested_at__isnull=False).exists()


@transaction.atomic
def finish(run_id: int, after: State, reason: str, now: datetime, body: Mapping[str, Any] | None = None) -> None:
    """Strike the stage and end the run. The first end counts."""
    strike(run_id)
    run = FailoverRun.objects.get(pk=run_id)
    ended = FailoverRun.objects.filter(pk=run_id, state__in=(State.QUEUED, State.RUNNING)).update(
        state=after, reason=reason[:500], step="", finished_at=now, lease_until=None, body=dict(body or {})
    )
    if ended:
        _announce(run, f"failover.{after}", actor=PROCESS, reason=reason[:500], before=run.state, after=after)


@transaction.atomic
def request_cancel(run: FailoverRun, *, actor: Actor) -> None:
    """Raises NotRunning."""
    if run.state not in (State.QUEUED, State.RUNNING):
        raise NotRunning(f"Failover run {run.pk} is {run.state}; there is nothing to cancel.")
    FailoverRun.objects.filter(pk=run.pk).update(cancel_requested_at=timezone.now())
    _announce(run, "failover.cancel", actor=actor, reason="", before=run.state, after=run.state)
    if run.state == State.QUEUED:
        finish(run.pk, State.CANCELLED, f"Cancelled by {actor.name}.", timezone.now())


def sweep(now: datetime) -> None:
    """What a process that died left behind. The controller calls it; so does every start of a failover gate."""
    for run in FailoverRun.objects.filter(state=State.RUNNING, lease_until__lt=now):
        finish(run.pk, State.INTERRUPTED, GONE, now)
    for run in FailoverRun.objects.filter(state=State.QUEUED, created_at__lt=now - QUEUE_PATIENCE):
        finish(run.pk, State.ERRORED, "No worker took it for 10 minutes. Start another.", now)
    for run in FailoverRun.objects.filter(staged=True).exclude(state=State.RUNNING):
        strike(run.pk)


def stage_name(run_id: int) -> str:
    """Of the temporary engine and its route."""
    return f"failover-{run_id}"


def _require(run_id: int) -> FailoverRun:
    run = FailoverRun.objects.filter(pk=run_id, state=State.RUNNING).first()
    if run is None:
        raise NotRunning(f"Failover run {run_id} is over.")
    return run


def _publish(run_id: int) -> None:
    try:
        start_failover.apply_async([run_id], retry=False)
    except (OperationalError, OSError) as failure:
        log.warning("Failover run %s cannot start: %s", run_id, failure)
        finish(run_id, State.ERRORED, "The message broker cannot be reached. Start another later.", timezone.now())


def _announce(run: FailoverRun, action: str, *, actor: Actor, reason: str, before: str, after: str) -> None:
    old = {"state": str(before)} if before else {}
    pair = {"route": run.route, "engine": run.engine, "other": run.other}
    changed.send(
        FailoverRun, action=action, subject=f"failover:{run.pk}", actor=actor, reason=reason, before=old,
        after={"state": str(after), **pair},
    )  # fmt: skip
