"""Engines, their replicas and what the probes saw of them."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

ENGINE_NAME = RegexValidator(
    r"^[a-z0-9][a-z0-9.-]{0,62}$",
    "Use 1 to 63 of a-z, 0-9, dot and hyphen, starting with a letter or digit.",
)


class EngineQuerySet(models.QuerySet["Engine"]):
    def with_replicas(self) -> "EngineQuerySet":
        return self.prefetch_related("replicas")


class Engine(models.Model):
    class Kind(models.TextChoices):
        CUSTOM = "custom", "HuggingFace server"
        VLLM = "vllm", "vLLM"
        TRTLLM = "trtllm", "TensorRT-LLM"

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        DRAINING = "draining", "Draining"
        DISABLED = "disabled", "Disabled"

    name = models.CharField(max_length=63, unique=True, validators=[ENGINE_NAME])
    kind = models.CharField(max_length=16, choices=Kind.choices)
    served_model = models.CharField(max_length=200)
    big_model = models.BooleanField(default=False)
    context_length = models.PositiveIntegerField(null=True, blank=True)
    max_in_flight = models.PositiveIntegerField(default=64, validators=[MinValueValidator(1), MaxValueValidator(4096)])
    state = models.CharField(max_length=16, choices=State.choices, default=State.DISABLED)
    # Colour and dash of the engine in every chart, for life (ux.md 3.3).
    slot = models.PositiveSmallIntegerField()
    # Feature name → yes, no or unknown, as declared by the operator or detected by a probe.
    features = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EngineQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class ReplicaQuerySet(models.QuerySet["Replica"]):
    def to_probe(self) -> "ReplicaQuerySet":
        """A disabled engine is still probed: its page must say whether enabling it would work."""
        return self.select_related("engine").order_by("pk")

    def suspect_since_probe(self) -> "ReplicaQuerySet":
        """Replicas on which a gateway met a refused or reset connection after their last probe."""
        never_probed = models.Q(probed_at=None)
        return self.filter(suspect_at__isnull=False).filter(
            never_probed | models.Q(suspect_at__gt=models.F("probed_at"))
        )


class Replica(models.Model):
    engine = models.ForeignKey(Engine, on_delete=models.CASCADE, related_name="replicas")
    url = models.CharField(max_length=300)
    # Fernet ciphertext of the engine's API key.
    sealed_key = models.TextField(blank=True, default="")
    # Name of the process when `make run` manages it; its URL is rewritten at each start.
    managed_by = models.CharField(max_length=63, blank=True, default="")
    # SHA-256 of the launch profile it was started by; empty for one that was started elsewhere.
    profile_digest = models.CharField(max_length=64, blank=True, default="")
    # engines.health state as JSON: score, breakdown, streak, identity of the process.
    health = models.JSONField(default=dict, blank=True)
    score = models.FloatField(null=True, blank=True)
    in_rotation = models.BooleanField(default=False)
    probed_at = models.DateTimeField(null=True, blank=True)
    last_good_at = models.DateTimeField(null=True, blank=True)
    suspect_at = models.DateTimeField(null=True, blank=True)

    objects = ReplicaQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["engine", "url"], name="one_replica_per_url")]

    def __str__(self) -> str:
        return f"{self.engine.name} at {self.url}"


class HealthSample(models.Model):
    """One probe's score, kept for charts."""

    replica = models.ForeignKey(Replica, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    score = models.FloatField()
    in_rotation = models.BooleanField()
    worst = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        # The engine page and the overview read one replica's last half hour.
        indexes = [models.Index(fields=["replica", "at"], name="sample_replica_at")]

    def __str__(self) -> str:
        return f"{self.replica_id} {self.at:%H:%M:%S} {self.score:.2f}"


class EngineCheck(models.Model):
    """One run of the live check list against an engine that may not be saved yet."""

    kind = models.CharField(max_length=16)
    url = models.CharField(max_length=300)
    served_model = models.CharField(max_length=200, blank=True, default="")
    sealed_key = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    rows = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return f"check {self.pk} of {self.url}"


class ContractRun(models.Model):
    """The last run of the contract against one engine, on one of its replicas. `rows` are findings as JSON."""

    engine = models.OneToOneField(Engine, on_delete=models.CASCADE, related_name="contract")
    url = models.CharField(max_length=300, blank=True, default="")
    actor_name = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, default="")
    rows = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return f"contract of {self.engine.name}"


class LaunchProfile(models.Model):
    """One version of a launch profile. Immutable; editing writes the next number. `body` is engines.launch.profile."""

    name = models.CharField(max_length=63, validators=[ENGINE_NAME])
    number = models.PositiveIntegerField()
    body = models.JSONField()
    digest = models.CharField(max_length=64, db_index=True)
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="one_profile_per_number")]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


class TuningSweep(models.Model):
    """One workload over a grid of a profile's settings. `options` and `points` are gates.sweep as JSON."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        STOPPED = "stopped", "Stopped"

    profile = models.ForeignKey(LaunchProfile, on_delete=models.PROTECT, related_name="sweeps")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    options = models.JSONField()
    points = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    actor_name = models.CharField(max_length=150)
    at = models.DateTimeField()
    touched_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"sweep {self.pk} of {self.profile}"
