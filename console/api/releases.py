"""Releases by control API: request one, look, pause, resume, roll back, abort. Approvals are for people."""

from collections.abc import Callable

from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status

from console.api.auth import require
from console.api.errors import ApiError
from console.api.schemas import Error, ReleaseAct, ReleaseRequest, ReleaseView
from console.pages.releases import create
from console.permissions import Capability
from engines.actors import Actor
from gates import release_actions
from gates.approvals import Refused, open_approval
from gates.models import Release
from gates.releases import TERMINAL

router = Router(tags=["releases"])
REFUSALS = {401: Error, 403: Error, 404: Error, 409: Error, 422: Error}
SHOWN = 100


@router.post("", response={202: ReleaseView, **REFUSALS}, summary="Request a release; its gate begins at once")
def start(request: HttpRequest, body: ReleaseRequest) -> Status[ReleaseView]:
    """A release that runs on the route is superseded. Ask its address until `over` is true."""
    actor = require(request, Capability.OPERATE)
    try:
        release = create(body.model_dump(), actor=actor)
    except Refused as refused:
        raise ApiError(422, "refused", str(refused)) from refused
    return Status(202, _view(release))


@router.get("", response={200: list[ReleaseView], 401: Error, 403: Error}, summary="The newest releases")
def listing(request: HttpRequest) -> list[ReleaseView]:
    require(request, Capability.VIEW)
    return [_view(row) for row in Release.objects.select_related("policy").order_by("-pk")[:SHOWN]]


@router.get("/{int:release}", response={200: ReleaseView, **REFUSALS}, summary="State, stage and approval")
def show_release(request: HttpRequest, release: int) -> ReleaseView:
    require(request, Capability.VIEW)
    return _view(_find(release))


@router.post("/{int:release}/pause", response={200: ReleaseView, **REFUSALS}, summary="Stop the next step")
def pause(request: HttpRequest, release: int, body: ReleaseAct) -> ReleaseView:
    return _act(request, release, body, release_actions.pause)


@router.post("/{int:release}/resume", response={200: ReleaseView, **REFUSALS}, summary="Go on where it was paused")
def resume(request: HttpRequest, release: int, body: ReleaseAct) -> ReleaseView:
    return _act(request, release, body, release_actions.resume)


@router.post("/{int:release}/rollback", response={200: ReleaseView, **REFUSALS}, summary="Canary to 0 %, at any time")
def rollback(request: HttpRequest, release: int, body: ReleaseAct) -> ReleaseView:
    return _act(request, release, body, release_actions.abort)


@router.post("/{int:release}/abort", response={200: ReleaseView, **REFUSALS}, summary="End it; weight goes to 0 %")
def abort(request: HttpRequest, release: int, body: ReleaseAct) -> ReleaseView:
    return _act(request, release, body, release_actions.abort)


@router.post("/{int:release}/approve", response={403: Error}, summary="Never by a key: people approve in the console")
def approve(request: HttpRequest, release: int) -> None:
    require(request, Capability.VIEW)
    raise ApiError(403, "not_for_keys", f"A person approves release {release} in the console, under their own name.")


def _act(request: HttpRequest, number: int, body: ReleaseAct, change: Callable[..., Release]) -> ReleaseView:
    actor: Actor = require(request, Capability.OPERATE)
    try:
        return _view(change(_find(number), actor=actor, reason=body.reason))
    except Refused as refused:
        raise ApiError(409, "wrong_state", str(refused)) from refused


def _find(number: int) -> Release:
    release = Release.objects.select_related("policy", "gate_run").filter(pk=number).first()
    if release is None:
        raise ApiError(404, "unknown_release", f"There is no release {number}.")
    return release


def _view(release: Release) -> ReleaseView:
    approval = open_approval(release)
    columns = ("route", "candidate", "baseline", "state", "stage", "target", "pause", "cause", "reason", "note")
    return ReleaseView.model_validate({
        "release": release.pk, "policy": str(release.policy), "gate_run": release.gate_run_id,
        "approval": approval.pk if approval else None, "over": release.state in TERMINAL,
        "created_at": release.created_at, "finished_at": release.finished_at,
        **{name: getattr(release, name) for name in columns},
    })  # fmt: skip
