"""The demo of `make run`: its engines, their processes' addresses, and what a first start makes of them."""

import secrets
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console import env
from console.models import Role, User
from engines import actions as engine_actions
from engines.actions import EngineSpec
from engines.actors import BOOTSTRAP
from engines.hf.demo import SERVED_MODEL
from engines.local import vllm_python
from engines.models import Engine
from routing import actions as routing_actions
from routing import keys
from routing.models import Route
from routing.publish import members_from_json, publish_health, published_health
from routing.table import Member
from routing.table import Role as RouteRole

FIRST_START = "first start"
ROUTE = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEngine:
    """A server that `make run` starts; `offset` is added to ENGINE_PORT."""

    name: str
    offset: int
    kind: str = Engine.Kind.CUSTOM.value
    role: RouteRole = RouteRole.SPLIT
    weight: int = 0
    canary: bool = False

    @property
    def port(self) -> int:
        return int(settings.ENGINE_PORT) + self.offset

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def member(self) -> Member:
        return Member(self.name, self.role, self.weight, self.canary)


HF_DEMO = DemoEngine(name="hf-demo", offset=0, weight=100)
HF_DEMO_B = DemoEngine(name="hf-demo-b", offset=1, canary=True)
VLLM_DEMO = DemoEngine(name="vllm-demo", offset=2, kind=Engine.Kind.VLLM.value, role=RouteRole.STANDBY)


def vllm_wanted() -> bool:
    """`VLLM_DEMO=off` leaves vLLM out even where it is installed."""
    wanted = env.choice("VLLM_DEMO", ("auto", "off"), "auto") == "auto"
    return wanted and (vllm_python().parent.parent / ".installed").exists()


def engines() -> tuple[DemoEngine, ...]:
    """Those that this start runs."""
    return (HF_DEMO, HF_DEMO_B, VLLM_DEMO) if vllm_wanted() else (HF_DEMO, HF_DEMO_B)


@transaction.atomic
def seed() -> dict[str, Any]:
    """One user per role, a client key, the demo engines and their route. Returns the first-run facts."""
    users = [make_user(str(role), role) for role in Role]
    _key, secret = keys.create_key("demo", scopes=["inference", "select-engine"], actor=BOOTSTRAP, reason=FIRST_START)
    for engine in engines():
        register(_spec(engine), engine.url, managed_by=engine.name)
    members = [engine.member for engine in engines()]
    routing_actions.create_route(ROUTE, members, actor=BOOTSTRAP, reason=FIRST_START)
    return {"users": users, "api_key": secret, "model": ROUTE}


@transaction.atomic
def add_provided() -> None:
    """vLLM that was provided since the first start joins the demo route as standby, once."""
    route = Route.objects.filter(name=ROUTE).first()
    for engine in engines():
        if route is None or Engine.objects.filter(name=engine.name).exists():
            continue
        register(_spec(engine), engine.url, managed_by=engine.name)
        members = [*members_from_json(route.current().members), engine.member]
        reason = f"{engine.name} is provided on this machine"
        routing_actions.change_split(ROUTE, members, expected=route.revision, actor=BOOTSTRAP, reason=reason)


def follow_ports() -> None:
    """This start may use other ports than the last one, and its processes have shown nothing yet."""
    for engine in engines():
        engine_actions.set_managed_url(engine.name, engine.url, actor=BOOTSTRAP)
    engine_actions.forget_probes(engine.name for engine in engines())
    publish_health(published_health(), now=timezone.now())


def register(spec: EngineSpec, url: str, *, managed_by: str = "") -> None:
    engine = engine_actions.register_engine(
        spec, replicas=[(url, "")], actor=BOOTSTRAP, reason=FIRST_START, managed_by=managed_by
    )
    engine_actions.set_state(engine, Engine.State.ACTIVE, actor=BOOTSTRAP, reason=FIRST_START)


def make_user(name: str, role: Role) -> dict[str, str]:
    password = secrets.token_urlsafe(12)
    User.objects.create_user(name, password=password, role=role)
    return {"name": name, "password": password, "role": str(role)}


def _spec(engine: DemoEngine) -> EngineSpec:
    return EngineSpec(name=engine.name, kind=engine.kind, served_model=SERVED_MODEL)
