"""The rows of tuning sweeps: begun, filled in point by point, ended."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from engines.actors import Actor
from engines.models import LaunchProfile, TuningSweep
from gates import sweep
from gates.signals import changed
from gates.sweep import Options, Point

State = TuningSweep.State


@transaction.atomic
def create(version: LaunchProfile, options: Options, *, actor: Actor, reason: str = "") -> TuningSweep:
    now = timezone.now()
    row = TuningSweep.objects.create(
        profile=version, options=sweep.options_to_json(options), actor_name=actor.name, at=now, touched_at=now
    )
    changed.send(
        TuningSweep, action="sweep.start", subject=f"profile:{version.name}", actor=actor, reason=reason,
        before={}, after={"sweep": row.pk, "version": version.number, "grid": row.options["grid"]},
    )  # fmt: skip
    return row


def keep(row: TuningSweep, points: Sequence[Point]) -> None:
    row.points, row.touched_at = [sweep.to_json(point) for point in points], timezone.now()
    row.save(update_fields=["points", "touched_at"])


def finish(row: TuningSweep, state: TuningSweep.State, reason: str) -> None:
    row.state, row.reason, row.touched_at = state, reason[:500], timezone.now()
    row.save(update_fields=["state", "reason", "touched_at"])


def points_of(row: TuningSweep) -> list[Point]:
    return [sweep.from_json(body) for body in row.points]
