"""Samples and points of old runs: which go and since when, and which stay for ever. What was judged always stays.

Who decided what, and when, are events of the run: its log tells the whole story, and the newest one is in force.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from engines.actors import CONTROLLER, Actor
from gates.models import GateEvent, GatePoint, GateRun, ReleaseTransition, SampleBatch
from gates.runs import OVER
from gates.signals import changed

KEEP, LET_GO, THINNED = "keep", "let go", "thinned"
MOST_RUNS = 20  # marked in one go


class Gone(Exception):
    """What was asked for is made from samples, and these were deleted. The message says since when."""


def mark_old(before: datetime, *, now: datetime) -> None:
    """The samples of runs that ended before that moment go: said first, so that no half of them is taken for all."""
    for run in list(due(before)[:MOST_RUNS]):
        _mark(run, before, now)


def due(before: datetime) -> QuerySet[GateRun]:
    """Runs that are over and have something to delete; none that a release rests on or that somebody keeps."""
    samples = SampleBatch.objects.filter(phase__run=OuterRef("pk"))
    points = GatePoint.objects.filter(run=OuterRef("pk"))
    mark = GateEvent.objects.filter(run=OuterRef("pk"), kind__in=(KEEP, LET_GO)).order_by("-pk").values("kind")[:1]
    return (
        GateRun.objects.filter(Exists(samples) | Exists(points), state__in=OVER, finished_at__lt=before)
        .filter(releases=None)
        .exclude(pk__in=_evidence())
        .exclude(Exists(_thinned().filter(run=OuterRef("pk"))))
        .annotate(mark=Coalesce(Subquery(mark), Value("")))
        .exclude(mark=KEEP)
        .order_by("pk")
    )


def leftovers() -> Sequence[QuerySet[Any]]:
    """What is still to be deleted of runs that are marked."""
    runs = _thinned().values("run")
    return SampleBatch.objects.filter(phase__run__in=runs), GatePoint.objects.filter(run__in=runs)


def gone_since(run: GateRun) -> datetime | None:
    return _thinned().filter(run=run).values_list("at", flat=True).first()


def gone_words(run: GateRun) -> str:
    """Empty while the samples are there."""
    since = gone_since(run)
    if since is None:
        return ""
    return f"The samples of gate run {run.pk} were deleted on {since:%Y-%m-%d} at {since:%H:%M} UTC, as old ones are."


def require(run: GateRun) -> None:
    """Raises Gone."""
    words = gone_words(run)
    if words:
        raise Gone(words)


def is_evidence(run: GateRun) -> bool:
    """Kept whether somebody asked for it or not."""
    return run.releases.exists() or run.pk in _evidence()


def why_kept(run: GateRun) -> str:
    """Why the samples of this run are never deleted; empty when they are once it is old."""
    release = run.releases.order_by("pk").first()
    if release is not None:
        return f"release {release.pk} rests on this run"
    if run.pk in _evidence():
        return "a release rested on this run"
    newest = GateEvent.objects.filter(run=run, kind__in=(KEEP, LET_GO)).order_by("-pk").first()
    return newest.text if newest is not None and newest.kind == KEEP else ""


@transaction.atomic
def keep(run: GateRun, *, actor: Actor, on: bool = True) -> None:
    """Samples that stay for ever, or no longer do. Raises Gone when there are none any more."""
    GateRun.objects.select_for_update().get(pk=run.pk)
    require(run)
    text = f"{actor.name} keeps the samples for ever" if on else f"{actor.name} lets the samples go once they are old"
    GateEvent.objects.create(run=run, at=timezone.now(), kind=KEEP if on else LET_GO, text=text)
    _announce(run, "gate.keep" if on else "gate.let_go", actor=actor, reason="", samples="kept" if on else "not kept")


@transaction.atomic
def _mark(run: GateRun, before: datetime, now: datetime) -> None:
    """Unless the run was resumed, kept or taken for a release at this moment."""
    GateRun.objects.select_for_update().get(pk=run.pk)
    if not due(before).filter(pk=run.pk).exists():
        return
    text = f"Samples and points were deleted: the run ended before {before:%Y-%m-%d}. What was judged stays."
    GateEvent.objects.create(run=run, at=now, kind=THINNED, text=text)
    _announce(run, "gate.thin", actor=CONTROLLER, reason=text, samples="deleted")


def _announce(run: GateRun, action: str, *, actor: Actor, reason: str, samples: str) -> None:
    changed.send(
        GateRun, action=action, subject=f"gate:{run.pk}", actor=actor, reason=reason, before={},
        after={"samples": samples},
    )  # fmt: skip


def _thinned() -> QuerySet[GateEvent]:
    return GateEvent.objects.filter(kind=THINNED)


def _evidence() -> frozenset[int]:
    """Runs that a release went by once, though another gate run may have followed."""
    named = ReleaseTransition.objects.filter(evidence__has_key="gate_run")
    return frozenset(named.values_list("evidence__gate_run", flat=True))
