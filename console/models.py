"""What belongs to the console itself: people, the audit chain, leases."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from engines.actors import Actor


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    APPROVER = "approver", "Approver"
    ADMIN = "admin", "Admin"


class User(AbstractUser):
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    def __str__(self) -> str:
        return self.username

    @property
    def actor(self) -> Actor:
        return Actor("user", str(self.pk), self.username)


class AuditEvent(models.Model):
    """One change, hash-chained to the one before. Written once, never updated. Also the outbox of live updates."""

    sequence = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=120)
    reason = models.CharField(max_length=500, blank=True, default="")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        # The audit page filters by subject, newest first.
        indexes = [models.Index(fields=["subject", "sequence"], name="audit_subject")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.subject}"


class AuditHead(models.Model):
    """The one row that orders the chain: moved by compare-and-set."""

    sequence = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="")

    def __str__(self) -> str:
        return f"audit head {self.sequence}"


class Lease(models.Model):
    """Who may act in a role that only one process may have. `fence` grows with every new holder."""

    name = models.CharField(max_length=40, unique=True)
    holder = models.CharField(max_length=100)
    fence = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
