"""Routes with their revisions, the published table, client keys, settings, outcomes and buckets."""

from datetime import datetime

from django.db import models

from engines.models import ENGINE_NAME


class Route(models.Model):
    """A public model name. The members in force are those of its newest revision."""

    name = models.CharField(max_length=63, unique=True, validators=[ENGINE_NAME])
    # Part of the sticky hash, so that two routes do not split the same users alike.
    salt = models.CharField(max_length=32)
    revision = models.PositiveIntegerField(default=1)
    # The release that moves the canary's weight, as "release:31"; empty when people do.
    owner = models.CharField(max_length=40, blank=True, default="")
    # Grows with every change that makes earlier decisions of the owner worthless.
    epoch = models.PositiveIntegerField(default=0)
    # Raising a weight by hand needs an approver's override even while no release runs.
    governed = models.BooleanField(default=False)
    # {engine, epoch, cut_after}: streams that a rolled back canary still runs. {engine, percent}: what is mirrored.
    drain = models.JSONField(default=dict, blank=True)
    shadow = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def current(self) -> "RouteRevision":
        return self.revisions.get(number=self.revision)


class RouteRevision(models.Model):
    """Immutable. `members` is a list of {engine, role, weight, canary}; weights of split members sum to 100."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    members = models.JSONField()
    reason = models.CharField(max_length=500, blank=True, default="")
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    restores = models.PositiveIntegerField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["route", "number"], name="one_revision_per_number")]

    def __str__(self) -> str:
        return f"{self.route} r{self.number}"


class TableHead(models.Model):
    """The one row whose update orders all publications."""

    version = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"table {self.version}"


class TableRevision(models.Model):
    """A compiled routing table. Immutable."""

    version = models.PositiveBigIntegerField(primary_key=True)
    body = models.JSONField()
    at = models.DateTimeField()
    cause = models.CharField(max_length=60)

    def __str__(self) -> str:
        return f"table {self.version}"


class HealthHead(models.Model):
    """The newest health snapshot: one row, its own sequence, unaudited."""

    sequence = models.PositiveBigIntegerField(default=0)
    body = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"health {self.sequence}"


class ApiKey(models.Model):
    """A client key. Only its SHA-256 is stored."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    owner = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SettingsRevision(models.Model):
    """Run-time settings, newest in force. `body` is routing.table.Settings as JSON."""

    number = models.PositiveIntegerField(unique=True)
    body = models.JSONField()
    reason = models.CharField(max_length=500, blank=True, default="")
    actor_name = models.CharField(max_length=150)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"settings {self.number}"


class OutcomeRecord(models.Model):
    """One request's outcome. `body` is routing.outcomes.Outcome as JSON; the columns are for filters."""

    request_id = models.CharField(max_length=64, unique=True)
    assigned_at = models.DateTimeField()
    route = models.CharField(max_length=63)
    engine = models.CharField(max_length=63, blank=True, default="")
    source = models.CharField(max_length=16)
    result = models.CharField(max_length=16)
    body = models.JSONField()

    class Meta:
        # Requests are listed newest first, by engine or by route, and pruned by age.
        indexes = [
            models.Index(fields=["assigned_at"], name="outcome_at"),
            models.Index(fields=["engine", "assigned_at"], name="outcome_engine_at"),
            models.Index(fields=["route", "assigned_at"], name="outcome_route_at"),
        ]

    def __str__(self) -> str:
        return self.request_id


class BucketQuerySet(models.QuerySet["Bucket"]):
    def between(self, since: datetime, until: datetime) -> "BucketQuerySet":
        return self.filter(start__gte=since, start__lt=until)


class Bucket(models.Model):
    """Ten seconds of outcomes of one (route, engine, arm, source). Sketches are routing.sketch JSON, seconds."""

    start = models.DateTimeField()
    route = models.CharField(max_length=63)
    engine = models.CharField(max_length=63, blank=True, default="")
    arm = models.CharField(max_length=63, blank=True, default="")
    source = models.CharField(max_length=16)
    total = models.PositiveIntegerField(default=0)
    ok = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    blameless = models.PositiveIntegerField(default=0)
    ttft_good = models.PositiveIntegerField(default=0)
    e2e_good = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    ttft = models.JSONField(default=dict)
    e2e = models.JSONField(default=dict)
    tpot = models.JSONField(default=dict)

    objects = BucketQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["start", "route", "engine", "arm", "source"], name="one_bucket_per_cell")
        ]

    def __str__(self) -> str:
        return f"{self.start:%H:%M:%S} {self.route} {self.engine}"


class GatewayReport(models.Model):
    """What one gateway last said of itself: how the console shows who acknowledged a table."""

    gateway_id = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()
    table_version = models.PositiveBigIntegerField()
    body = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.gateway_id
