"""Gate runs by control API: start, look, cancel, resume, take the report away."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from ninja import Router
from ninja.responses import Status

from console.api.auth import require
from console.api.errors import ApiError
from console.api.schemas import Error, Queued, Run, RunRequest
from console.pages import gates_report
from console.permissions import Capability
from gates import actions, outputs, thinning
from gates.models import GateRun
from gates.runs import VERDICTS

router = Router(tags=["gates"])
REFUSALS = {401: Error, 403: Error, 404: Error, 409: Error}
GONE = {**REFUSALS, 410: Error}
REASON = "control API"


@router.post("", response={202: Queued, 401: Error, 403: Error, 404: Error, 422: Error}, summary="Start a gate run")
def start(request: HttpRequest, body: RunRequest) -> Status[Queued]:
    """The run is queued; a worker takes it. Ask its address until `verdict` is set."""
    actor = require(request, Capability.OPERATE)
    if bool(body.engine) == bool(body.route):
        raise ApiError(422, "invalid_request", "Name either an engine or a route.")
    policy = actions.newest(body.policy)
    if policy is None:
        raise ApiError(404, "unknown_policy", f"No policy is named {body.policy}.")
    kind = GateRun.Target.ENGINE if body.engine else GateRun.Target.ROUTE
    try:
        run = actions.create_run(policy, kind, body.engine or body.route or "", actor=actor, note=body.note)
    except actions.UnknownTarget as unknown:
        raise ApiError(404, "unknown_target", str(unknown)) from unknown
    return Status(202, _queued(run))


@router.get("/{int:run}", response={200: Run, **REFUSALS}, summary="State, verdict and phases of a run")
def show(request: HttpRequest, run: int) -> Run:
    require(request, Capability.VIEW)
    return _view(_find(run))


@router.post("/{int:run}/cancel", response={202: Queued, **REFUSALS}, summary="Stop the load of a run")
def cancel(request: HttpRequest, run: int) -> Status[Queued]:
    """The load is gone within 2 s; samples are kept. A run that nobody executes yet is cancelled at once."""
    actor = require(request, Capability.OPERATE)
    try:
        found = actions.request_cancel(_find(run), actor=actor, reason=REASON)
    except actions.WrongState as wrong:
        raise ApiError(409, "wrong_state", str(wrong)) from wrong
    return Status(202, _queued(found))


@router.post("/{int:run}/resume", response={202: Queued, **REFUSALS}, summary="Go on with an interrupted run")
def resume(request: HttpRequest, run: int) -> Status[Queued]:
    """Only an interrupted or errored run. Finished phases are kept."""
    actor = require(request, Capability.OPERATE)
    try:
        found = actions.resume(_find(run), actor=actor, reason=REASON)
    except actions.WrongState as wrong:
        raise ApiError(409, "wrong_state", str(wrong)) from wrong
    return Status(202, _queued(found))


@router.get("/{int:run}/report.json", response={200: dict, **GONE}, summary="The report of a run that has ended")
def report(request: HttpRequest, run: int) -> HttpResponse:
    require(request, Capability.VIEW)
    found = _find(run)
    if found.state not in VERDICTS:
        raise ApiError(409, "not_finished", f"Gate run {run} is {found.state}; it has no report yet.")
    _require_samples(found)
    return HttpResponse(outputs.render(found, "json"), content_type="application/json")


@router.get("/{int:run}/samples.jsonl", response={200: str, **GONE}, summary="One JSON object for each request")
def samples(request: HttpRequest, run: int) -> HttpResponseBase:
    """Also of a run that still goes on: what was stored so far."""
    require(request, Capability.VIEW)
    _require_samples(_find(run))
    return gates_report.samples(request, run)


def _find(number: int) -> GateRun:
    run = GateRun.objects.select_related("policy", "baseline").filter(pk=number).first()
    if run is None:
        raise ApiError(404, "unknown_run", f"There is no gate run {number}.")
    return run


def _require_samples(run: GateRun) -> None:
    """Raises ApiError once they were deleted."""
    try:
        thinning.require(run)
    except thinning.Gone as gone:
        raise ApiError(410, "samples_deleted", str(gone)) from gone


def _queued(run: GateRun) -> Queued:
    return Queued(run=run.pk, state=run.state, url=reverse("control-api:show", args=[run.pk]))


def _view(run: GateRun) -> Run:
    phases = run.phases.order_by("pk").values("phase", "attempt", "started_at", "ended_at", "kept")
    columns = ("state", "target_kind", "target", "reason", "note", "plan_digest")
    times = ("created_at", "started_at", "finished_at")
    return Run.model_validate({
        "run": run.pk, "policy": run.policy.name, "policy_version": run.policy.number, "verdict": run.verdict or None,
        "phases": list(phases), **{name: getattr(run, name) for name in (*columns, *times)},
    })  # fmt: skip
