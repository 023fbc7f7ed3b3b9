"""What happens to a study while a process has it. Every write holds only while the row names that process."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from engines.actors import Actor
from engines.models import Engine
from gates.journal import engines_of_study, loader_of, waiting_reason
from gates.models import GateStudy
from gates.signals import changed
from gates.study_states import HELD, State

SILENT_SECONDS = 60.0
GONE = "Its process fell silent: the worker or its machine is gone. Start the study again."


@transaction.atomic
def claim(study_id: int, holder: str, now: datetime) -> bool:
    """Take a queued study. False: it is not queued, or its engines are under load; the row then says which."""
    study = GateStudy.objects.filter(pk=study_id, state=State.QUEUED).first()
    if study is None:
        return False
    list(Engine.objects.select_for_update().filter(name__in=engines_of_study(study)).order_by("name"))
    busy = blocked_by(study)
    if busy:
        GateStudy.objects.filter(pk=study_id, state=State.QUEUED).update(reason=busy)
        return False
    taken = GateStudy.objects.filter(pk=study_id, state=State.QUEUED)
    return bool(taken.update(state=State.RUNNING, reason="", holder=holder, beat_at=now))


def beat(study_id: int, holder: str, now: datetime, body: Mapping[str, Any] | None = None) -> bool:
    """A sign of life, with what was measured so far. False when the load must stop: cancelled, or not ours any more."""
    more: dict[str, Any] = {} if body is None else {"body": dict(body)}
    held = GateStudy.objects.filter(pk=study_id, holder=holder, state__in=HELD)
    return bool(held.update(beat_at=now, **more)) and held.filter(state=State.RUNNING).exists()


@transaction.atomic
def finish(
    study_id: int, holder: str, state: State, *, reason: str, now: datetime, body: Mapping[str, Any] | None = None
) -> bool:
    """End it. False when it was not in that process's hands any more."""
    more: dict[str, Any] = {} if body is None else {"body": dict(body)}
    held = GateStudy.objects.filter(pk=study_id, holder=holder, state__in=HELD)
    if not held.update(state=state, reason=reason[:500], finished_at=now, holder="", **more):
        return False
    announce(study_id, f"study.{state}", actor=Actor("process", "study", "gate study"), reason=reason, state=state)
    return True


def bury(now: datetime) -> None:
    """End studies whose process gives no sign of life."""
    silent = GateStudy.objects.filter(state__in=HELD, beat_at__lt=now - timedelta(seconds=SILENT_SECONDS))
    for study in silent:
        finish(study.pk, study.holder, State.ERRORED, reason=GONE, now=now)


def blocked_by(study: GateStudy) -> str:
    """What loads one of its engines now, in words; empty when nothing does."""
    other = loader_of(engines_of_study(study))
    return waiting_reason(other) if other is not None else ""


def announce(study_id: int, action: str, *, actor: Actor, reason: str, state: State) -> None:
    subject = f"study:{study_id}"
    changed.send(
        GateStudy, action=action, subject=subject, actor=actor, reason=reason, before={}, after={"state": str(state)}
    )
