"""What belongs to the console itself: people, the audit chain, leases, notifications."""

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


class Channel(models.Model):
    """Where notifications go. The address may hold a password or token, so it is sealed like an engine's key."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook, signed"
        APPRISE = "apprise", "Chat or mail"

    name = models.CharField(max_length=63, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    sealed_url = models.TextField()
    # Key of the webhook's signature, Fernet ciphertext.
    sealed_secret = models.TextField(blank=True, default="")
    # Patterns of actions, such as release.* or engine.left.
    events = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one channel: queued once, tried until it went out or the tries are used up."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    # What happened, once: the audit row's number, or the name of a moment.
    key = models.CharField(max_length=120)
    action = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=1000)
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    last_error = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "key"], name="one_delivery_per_event")]
        # What is due next.
        indexes = [models.Index(fields=["state", "next_at"], name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.key} to {self.channel_id}"


class OutboxCursor(models.Model):
    """The one row that says up to which audit row deliveries were made."""

    sequence = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"outbox {self.sequence}"
