"""What people do to studies: start one, cancel one; and the queue, which survives a broker that is down."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from engines.actors import Actor
from engines.models import Engine
from gates.actions import BROKER_DOWN, MESSAGE_SECONDS, NO_WORKER, UnknownTarget, WrongState
from gates.models import GateStudy
from gates.study_journal import announce, blocked_by, bury
from gates.study_states import State
from gates.tasks import start_gate_study

log = logging.getLogger(__name__)


@transaction.atomic
def create(
    kind: str,
    target: str,
    *,
    actor: Actor,
    options: Mapping[str, Any],
    baseline: str = "",
    hand_to_worker: bool = True,
) -> GateStudy:
    """A queued study. Without `hand_to_worker` the caller runs it itself. Raises UnknownTarget."""
    wanted = {target, baseline} - {""}
    missing = wanted - set(Engine.objects.filter(name__in=wanted).values_list("name", flat=True))
    if missing:
        raise UnknownTarget(f"No engine is named {', '.join(sorted(missing))}.")
    if target == baseline:
        raise UnknownTarget("Baseline and candidate are the same engine; the noise floor is measured anyway.")
    now = timezone.now()
    study = GateStudy.objects.create(
        kind=kind, target=target, baseline=baseline, state=State.QUEUED, body={"options": dict(options)},
        actor_name=actor.name, at=now, beat_at=None if hand_to_worker else now,
    )  # fmt: skip
    announce(study.pk, "study.create", actor=actor, reason="", state=State.QUEUED)
    if hand_to_worker:
        transaction.on_commit(partial(publish, study))
    return study


def publish(study: GateStudy, now: datetime | None = None) -> bool:
    """Hand a queued study to the workers, once a minute at most. False when the broker cannot be reached."""
    now = now or timezone.now()
    queued = GateStudy.objects.filter(pk=study.pk, state=State.QUEUED).first()
    if queued is None or (queued.beat_at and queued.beat_at > now - timedelta(seconds=MESSAGE_SECONDS)):
        return True
    busy = blocked_by(queued)
    if busy:
        GateStudy.objects.filter(pk=queued.pk, state=State.QUEUED).update(reason=busy)
        return True
    try:
        start_gate_study.apply_async([queued.pk], expires=MESSAGE_SECONDS, retry=False)
    except (OperationalError, OSError) as failure:
        log.warning("Study %s waits: the broker cannot be reached (%s).", queued.pk, failure)
        GateStudy.objects.filter(pk=queued.pk, state=State.QUEUED).update(reason=BROKER_DOWN)
        return False
    reason = NO_WORKER if queued.beat_at else ""
    GateStudy.objects.filter(pk=queued.pk, state=State.QUEUED).update(beat_at=now, reason=reason)
    return True


@transaction.atomic
def request_cancel(study: GateStudy, *, actor: Actor) -> None:
    """A queued study is over at once, a running one when its load has stopped. Raises WrongState."""
    for before, after, more in (
        (State.QUEUED, State.CANCELLED, {"finished_at": timezone.now(), "reason": f"Cancelled by {actor.name}."}),
        (State.RUNNING, State.CANCELLING, {}),
    ):
        if GateStudy.objects.filter(pk=study.pk, state=before).update(state=after, **more):
            announce(study.pk, "study.cancel", actor=actor, reason="", state=after)
            return
    raise WrongState("The study is over; there is nothing to cancel.")


def reap(now: datetime) -> None:
    """What the controller does for studies: end the silent ones, start those that wait."""
    bury(now)
    for study in GateStudy.objects.filter(state=State.QUEUED).order_by("pk"):
        if not publish(study, now):
            break
