"""Capacity searches, A/Bs of engines, and failover gates."""

from django.db import models


class GateStudy(models.Model):
    """A capacity search or an A/B of two engines. `state` follows gates.study_journal; `holder` is its process.

    `body`: options as asked, what has been measured so far, and the result.
    """

    class Kind(models.TextChoices):
        CAPACITY = "capacity", "Capacity search"
        AB = "ab", "A/B of two engines"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(max_length=63)
    # Of an A/B the engine that the target is compared with.
    baseline = models.CharField(max_length=63, blank=True, default="")
    state = models.CharField(max_length=12)
    reason = models.CharField(max_length=500, blank=True, default="")
    body = models.JSONField(default=dict, blank=True)
    actor_name = models.CharField(max_length=150)
    at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    holder = models.CharField(max_length=100, blank=True, default="")
    # Last sign of life of its process; while queued, when a worker was last told.
    beat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "gate studies"

    def __str__(self) -> str:
        return f"study {self.pk}"


class FailoverRun(models.Model):
    """One failover gate: faults before `engine`, taken over by `other`, on a temporary route of its own.

    `plan`, `body` are gates.failover as JSON. `staged`: the temporary engine and route exist and must be removed.
    """

    route = models.CharField(max_length=63)
    engine = models.CharField(max_length=63)
    other = models.CharField(max_length=63)
    plan = models.JSONField(default=dict)
    state = models.CharField(max_length=16)
    step = models.CharField(max_length=100, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    body = models.JSONField(default=dict, blank=True)
    staged = models.BooleanField(default=False)
    actor_name = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"failover run {self.pk}"
