"""Release policies in versions, releases with their transitions, approvals, and the detectors' evidence over time."""

from django.db import models

from gates.models.runs import GateRun
from gates.releases import TERMINAL


class ReleasePolicyVersion(models.Model):
    """One version of a release policy. Immutable. `body` is gates.release_policy.ReleasePolicy as JSON."""

    name = models.CharField(max_length=63)
    number = models.PositiveIntegerField()
    body = models.JSONField()
    digest = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="one_release_policy_per_number")]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


class ReleaseQuerySet(models.QuerySet["Release"]):
    def active(self) -> "ReleaseQuerySet":
        return self.exclude(state__in=TERMINAL)


class Release(models.Model):
    """A candidate on its way to all of a route's traffic. `state` follows gates.releases.

    The weight itself lives in routing; the row keeps the stage asked for and the route's revision that wrote it.
    """

    route = models.CharField(max_length=63)
    candidate = models.CharField(max_length=63)
    baseline = models.CharField(max_length=63)
    policy = models.ForeignKey(ReleasePolicyVersion, on_delete=models.PROTECT, related_name="releases")
    state = models.CharField(max_length=20)
    state_since = models.DateTimeField()
    # Grows with every change of the row: what compare-and-set compares.
    version = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True, default="")
    # While PAUSED: why, and where resume leads. While ROLLING_BACK and after: the cause.
    pause = models.CharField(max_length=16, blank=True, default="")
    resume_to = models.CharField(max_length=20, blank=True, default="")
    cause = models.CharField(max_length=16, blank=True, default="")
    # Per cent of the stage in force and of the one it is on its way to; equal while it bakes.
    stage = models.PositiveSmallIntegerField(default=0)
    target = models.PositiveSmallIntegerField(default=0)
    stage_since = models.DateTimeField(null=True, blank=True)
    # The route's revision and epoch that this release wrote last: others mean that somebody moved the weights.
    revision = models.PositiveIntegerField(null=True, blank=True)
    epoch = models.PositiveIntegerField(null=True, blank=True)
    # The split before the release, for the way back.
    members_before = models.JSONField(default=list, blank=True)
    gate_run = models.ForeignKey(GateRun, on_delete=models.PROTECT, null=True, blank=True, related_name="releases")
    candidate_digest = models.CharField(max_length=64, blank=True, default="")
    fingerprint = models.JSONField(default=dict, blank=True)
    # {reason, by, at, until}: the gate's verdict was waived. Shown red for ever.
    waiver = models.JSONField(default=dict, blank=True)
    # What the detectors hold, so that a new controller goes on where the last one stopped.
    detectors = models.JSONField(default=dict, blank=True)
    # What the last evaluation saw: shares, samples, streams. For the page.
    observed = models.JSONField(default=dict, blank=True)
    # {detected_at, asked_at, zero_at, finished, drained, cut}: how the roll-back went.
    rollback = models.JSONField(default=dict, blank=True)
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retries")
    note = models.CharField(max_length=500, blank=True, default="")
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        # The list, newest first; the running release of a route.
        indexes = [models.Index(fields=["route", "created_at"], name="release_route_created")]

    def __str__(self) -> str:
        return f"release {self.pk}"


class ReleaseTransition(models.Model):
    """One change of a release's state: the journal of its page."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="transitions")
    before = models.CharField(max_length=20)
    after = models.CharField(max_length=20)
    stage = models.PositiveSmallIntegerField(default=0)
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()
    # Digests and figures that the change rests on.
    evidence = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"{self.release_id}: {self.before} → {self.after}"


class Approval(models.Model):
    """One request for leave to go to one stage, bound to what it was asked for. Single use."""

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        APPROVED = "approved", "Approved"
        USED = "used", "Used"
        REJECTED = "rejected", "Rejected"
        EXPIRED = "expired", "Expired"
        STALE = "stale", "Stale"
        WITHDRAWN = "withdrawn", "Withdrawn"

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="approvals")
    from_stage = models.PositiveSmallIntegerField()
    target_stage = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    candidate_digest = models.CharField(max_length=64)
    policy_digest = models.CharField(max_length=64)
    evidence_digest = models.CharField(max_length=64)
    requester_id = models.CharField(max_length=64)
    requester_name = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by_id = models.CharField(max_length=64, blank=True, default="")
    decided_by_name = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.CharField(max_length=1000, blank=True, default="")
    break_glass = models.BooleanField(default=False)
    # Why it became stale, in words.
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [
            # One open request per release: what is asked for is never ambiguous.
            models.UniqueConstraint(
                fields=["release"], condition=models.Q(state__in=["pending", "approved"]), name="one_open_approval"
            )
        ]

    def __str__(self) -> str:
        return f"A-{self.pk}"


class DetectorPoint(models.Model):
    """What one evaluation said: log10 of each e-value against its line, counts, shares. For bars, charts and replay."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="points")
    at = models.DateTimeField()
    stage = models.PositiveSmallIntegerField()
    body = models.JSONField()

    class Meta:
        # The live page reads what is new since the last point it has.
        indexes = [models.Index(fields=["release", "id"], name="detector_point_release")]

    def __str__(self) -> str:
        return f"{self.release_id} {self.at:%H:%M:%S}"
