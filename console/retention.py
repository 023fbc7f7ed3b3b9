"""How long what piles up is kept. The audit is kept for ever."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from console.models import Delivery
from engines.models import EngineCheck, HealthSample
from routing.models import Bucket, OutcomeRecord
from routing.reports import forget_silent

OUTCOMES = timedelta(days=7)
BUCKETS = timedelta(days=30)
SAMPLES = timedelta(days=2)
CHECKS = timedelta(hours=1)
DELIVERIES = timedelta(days=30)
# Deleted in slices, so that SQLite's one writer is never held for long.
SLICE = 2000


def prune(now: datetime) -> None:
    delete_in_slices(OutcomeRecord.objects.filter(assigned_at__lt=now - OUTCOMES))
    delete_in_slices(Bucket.objects.filter(start__lt=now - BUCKETS))
    delete_in_slices(HealthSample.objects.filter(at__lt=now - SAMPLES))
    delete_in_slices(EngineCheck.objects.filter(started_at__lt=now - CHECKS))
    delete_in_slices(Delivery.objects.filter(created_at__lt=now - DELIVERIES).exclude(state=Delivery.State.QUEUED))
    forget_silent(now)


def delete_in_slices(old: QuerySet[Any]) -> None:
    while oldest := list(old.order_by("pk").values_list("pk", flat=True)[:SLICE]):
        old.filter(pk__in=oldest).delete()
