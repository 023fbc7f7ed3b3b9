"""Leases: at most one process at a time in a role, taken over when its holder falls silent."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from console.models import Lease


def hold(name: str, holder: str, *, now: datetime, seconds: float) -> int | None:
    """Take or renew the lease. The fencing number while held, None while somebody else holds it."""
    expires = now + timedelta(seconds=seconds)
    if Lease.objects.filter(name=name, holder=holder, expires_at__gt=now).update(expires_at=expires):
        return Lease.objects.get(name=name).fence
    taken = Lease.objects.filter(name=name, expires_at__lte=now).update(
        holder=holder, expires_at=expires, fence=F("fence") + 1
    )
    if taken:
        return Lease.objects.get(name=name).fence
    if Lease.objects.filter(name=name).exists():
        return None
    try:
        with transaction.atomic():
            return Lease.objects.create(name=name, holder=holder, expires_at=expires, fence=1).fence
    except IntegrityError:
        return None  # another process made the first row at the same moment


def release(name: str, holder: str, *, now: datetime) -> None:
    Lease.objects.filter(name=name, holder=holder).update(expires_at=now)
