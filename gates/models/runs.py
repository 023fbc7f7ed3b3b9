"""Gate policies in versions, gate runs with their transitions, phases, samples, points and events."""

from django.db import models


class GatePolicy(models.Model):
    """One version of a policy. Immutable; editing writes the next number. `body` is gates.policy.Policy as JSON."""

    name = models.CharField(max_length=63)
    number = models.PositiveIntegerField()
    body = models.JSONField()
    digest = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="one_policy_per_number")]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


class GateRun(models.Model):
    """One use of a policy version on one target. `state` follows gates.runs; the row owns it, by lease and fence."""

    class Target(models.TextChoices):
        ENGINE = "engine", "Engine"
        ROUTE = "route", "Route"

    policy = models.ForeignKey(GatePolicy, on_delete=models.PROTECT, related_name="runs")
    target_kind = models.CharField(max_length=8, choices=Target.choices)
    target = models.CharField(max_length=63)
    state = models.CharField(max_length=16)
    state_since = models.DateTimeField()
    phase = models.CharField(max_length=8, blank=True, default="")
    verdict = models.CharField(max_length=16, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    seed = models.BigIntegerField()
    plan_digest = models.CharField(max_length=64, blank=True, default="")
    # What was tested: engine, version, served model, context, features, declared record.
    fingerprint = models.JSONField(default=dict, blank=True)
    # gates.verdict.Judgement as JSON once judged.
    judgement = models.JSONField(default=dict, blank=True)
    baseline = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="compared_by")
    note = models.CharField(max_length=500, blank=True, default="")
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    lease_holder = models.CharField(max_length=100, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveIntegerField(default=0)

    class Meta:
        # The history of one target, newest first; the reaper's search for silent runs.
        indexes = [
            models.Index(fields=["target_kind", "target", "created_at"], name="run_target_created"),
            models.Index(fields=["state", "lease_until"], name="run_state_lease"),
        ]

    def __str__(self) -> str:
        return f"gate run {self.pk}"


class GateTransition(models.Model):
    """One change of a run's state."""

    run = models.ForeignKey(GateRun, on_delete=models.CASCADE, related_name="transitions")
    before = models.CharField(max_length=16)
    after = models.CharField(max_length=16)
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.run_id}: {self.before} → {self.after}"


class GatePhase(models.Model):
    """One attempt at one phase. Only attempts that ended by themselves are `kept`; the others are history."""

    run = models.ForeignKey(GateRun, on_delete=models.CASCADE, related_name="phases")
    phase = models.CharField(max_length=8)
    attempt = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    kept = models.BooleanField(default=False)
    # gates.verdict.PhaseEnd and GeneratorHealth as JSON; counters of the engine before and after.
    end = models.JSONField(default=dict, blank=True)
    generator = models.JSONField(default=dict, blank=True)
    server = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "phase", "attempt"], name="one_row_per_attempt")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.phase} #{self.attempt}"


class SampleBatch(models.Model):
    """Samples of one phase attempt as they came, about one batch a second. `rows` are gates.load.samples as JSON."""

    phase = models.ForeignKey(GatePhase, on_delete=models.CASCADE, related_name="batches")
    sequence = models.PositiveIntegerField()
    rows = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["phase", "sequence"], name="one_batch_per_sequence")]

    def __str__(self) -> str:
        return f"{self.phase_id} batch {self.sequence}"


class GatePoint(models.Model):
    """One second of a run for the live charts: offered, served, in flight, latencies, errors, queue, KV use."""

    run = models.ForeignKey(GateRun, on_delete=models.CASCADE, related_name="points")
    at = models.DateTimeField()
    phase = models.CharField(max_length=8)
    body = models.JSONField()

    class Meta:
        # The live page reads what is new since the last point it has.
        indexes = [models.Index(fields=["run", "id"], name="point_run_id")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.at:%H:%M:%S}"


class GateEvent(models.Model):
    """One line of a run's event log."""

    run = models.ForeignKey(GateRun, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    text = models.CharField(max_length=500)

    def __str__(self) -> str:
        return f"{self.run_id} {self.text}"
