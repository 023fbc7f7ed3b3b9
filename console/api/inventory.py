"""What there is to test and by which policies, by control API."""

from django.http import HttpRequest
from ninja import Router

from console.api.auth import require
from console.api.schemas import EngineView, MemberView, PolicyView, RouteView
from console.permissions import Capability
from engines.models import Engine
from gates import actions
from routing.models import Route
from routing.publish import members_from_json

router = Router(tags=["inventory"])


@router.get("/engines", response=list[EngineView], summary="Engines and their health")
def engines(request: HttpRequest) -> list[EngineView]:
    require(request, Capability.VIEW)
    return [_engine(row) for row in Engine.objects.with_replicas().order_by("name")]


@router.get("/routes", response=list[RouteView], summary="Routes with the split in force")
def routes(request: HttpRequest) -> list[RouteView]:
    require(request, Capability.VIEW)
    return [
        RouteView(
            name=route.name,
            revision=route.revision,
            members=[
                MemberView(engine=member.engine, role=member.role, weight=member.weight, canary=member.canary)
                for member in members_from_json(route.current().members)
            ],
        )
        for route in Route.objects.order_by("name")
    ]


@router.get("/gates/policies", response=list[PolicyView], summary="The newest version of each gate policy")
def policies(request: HttpRequest) -> list[PolicyView]:
    require(request, Capability.VIEW)
    return [
        PolicyView(name=row.name, version=row.number, digest=row.digest, body=row.body)
        for row in actions.newest_versions()
    ]


def _engine(engine: Engine) -> EngineView:
    replicas = list(engine.replicas.all())
    scores = [replica.score for replica in replicas if replica.score is not None]
    return EngineView(
        name=engine.name,
        kind=engine.kind,
        served_model=engine.served_model,
        state=engine.state,
        replicas=len(replicas),
        in_rotation=sum(replica.in_rotation for replica in replicas),
        score=max(scores, default=None),
    )
