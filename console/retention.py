"""How long what piles up is kept. The audit is kept for ever, and so is what gate runs were judged to be."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from console.models import Delivery
from engines.models import EngineCheck, HealthSample
from gates import thinning
from routing.models import Bucket, OutcomeRecord
from routing.reports import forget_silent

OUTCOMES = timedelta(days=7)
BUCKETS = timedelta(days=30)
SAMPLES = timedelta(days=2)
CHECKS = timedelta(hours=1)
DELIVERIES = timedelta(days=30)
# Deleted in slices, so that SQLite's one writer is never held for long.
SLICE = 2000
# A batch of samples is some kilobytes. So many slices at once: the controller has replicas to probe meanwhile.
SAMPLE_SLICE, MOST_SLICES = 200, 50


def prune(now: datetime) -> None:
    delete_in_slices(OutcomeRecord.objects.filter(assigned_at__lt=now - OUTCOMES))
    delete_in_slices(Bucket.objects.filter(start__lt=now - BUCKETS))
    delete_in_slices(HealthSample.objects.filter(at__lt=now - SAMPLES))
    delete_in_slices(EngineCheck.objects.filter(started_at__lt=now - CHECKS))
    delete_in_slices(Delivery.objects.filter(created_at__lt=now - DELIVERIES).exclude(state=Delivery.State.QUEUED))
    thin(now)
    forget_silent(now)


def thin(now: datetime) -> None:
    """Samples and points of old gate runs; what is left over goes the next time."""
    thinning.mark_old(now - timedelta(days=settings.GATE_SAMPLE_DAYS), now=now)
    for left in thinning.leftovers():
        delete_in_slices(left, size=SAMPLE_SLICE, most=MOST_SLICES)


def delete_in_slices(old: QuerySet[Any], *, size: int = SLICE, most: int | None = None) -> None:
    for _ in count() if most is None else range(most):
        oldest = list(old.order_by("pk").values_list("pk", flat=True)[:size])
        if not oldest:
            return
        old.filter(pk__in=oldest).delete()
