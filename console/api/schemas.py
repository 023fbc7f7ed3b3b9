"""What the control API takes and gives, as the OpenAPI document describes it."""

from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field


class RunRequest(Schema):
    """Exactly one of `engine` and `route`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    policy: str = Field(default="quick", max_length=63, description="its newest version")
    engine: str | None = Field(default=None, max_length=63, description="test this engine directly")
    route: str | None = Field(default=None, max_length=63, description="test this route through the gateway")
    note: str = Field(default="", max_length=500, description="why, for the report and the audit")


class Queued(Schema):
    run: int
    state: str
    url: str = Field(description="address to ask for the run's state")


class Phase(Schema):
    phase: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    kept: bool = Field(description="false: it runs, or it was interrupted and is not judged")


class Run(Schema):
    run: int
    policy: str
    policy_version: int
    target_kind: Literal["engine", "route"]
    target: str
    state: str
    verdict: str | None = Field(description="null until the run has ended")
    reason: str
    note: str
    plan_digest: str
    phases: list[Phase]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EngineView(Schema):
    name: str
    kind: str
    served_model: str
    state: str
    replicas: int
    in_rotation: int
    score: float | None = Field(description="of the best replica; null when none was probed")


class MemberView(Schema):
    engine: str
    role: str
    weight: int
    canary: bool


class RouteView(Schema):
    name: str
    revision: int
    members: list[MemberView]


class PolicyView(Schema):
    name: str
    version: int
    digest: str
    body: dict[str, Any]


class ErrorBody(Schema):
    code: str
    message: str


class Error(Schema):
    error: ErrorBody


class ReleaseRequest(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)

    route: str = Field(max_length=63, description="whose traffic the candidate is to take")
    candidate: str = Field(max_length=63, description="an engine; it begins at 0 %")
    policy: str = Field(default="standard", max_length=63, description="its newest version")
    note: str = Field(min_length=10, max_length=500, description="why, for the audit")
    evidence: int | None = Field(default=None, description="a passed gate run of the very same candidate")


class ReleaseAct(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = Field(default="", max_length=500, description="for the journal and the audit")


class ReleaseView(Schema):
    release: int
    route: str
    candidate: str
    baseline: str
    policy: str
    state: str
    stage: int = Field(description="per cent in force")
    target: int = Field(description="per cent it is on its way to")
    pause: str
    cause: str = Field(description="of a roll-back")
    reason: str
    note: str
    gate_run: int | None
    approval: int | None = Field(description="the open request, decided by people in the console")
    over: bool
    created_at: datetime
    finished_at: datetime | None
