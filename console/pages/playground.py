"""Playground: the page, and the fragment that says why an engine was chosen. The talk itself is a websocket."""

from dataclasses import dataclass

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from console.permissions import Capability, requires
from console.playground_messages import DEFAULT_MAX_TOKENS, MAX_PANES, MAX_TOKENS
from console.playground_why import explain, find
from engines.models import Engine
from routing.models import Route, RouteRevision

WHY_TRIES = 8
PANES_AT_FIRST = 2
EXAMPLES = (
    "What is a canary?",
    "What does the STEP phase prove?",
    "What should I do when TTFT burns its budget?",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One engine in a pane's select. `routes` are those that name it, separated by blanks."""

    name: str
    state: str
    routes: str


@require_GET
@requires(Capability.CHAT)
def playground(request: HttpRequest) -> HttpResponse:
    choices = engine_choices()
    wanted = next((choice for choice in choices if choice.name == request.GET.get("engine")), None)
    context = {
        "wanted": wanted,
        "wanted_route": wanted.routes.partition(" ")[0] if wanted else "",
        "routes": list(Route.objects.order_by("name").values_list("name", flat=True)),
        "choices": choices,
        "panes": [(number, number > PANES_AT_FIRST) for number in range(1, MAX_PANES + 1)],
        "panes_at_first": PANES_AT_FIRST,
        "examples": EXAMPLES,
        "max_tokens": MAX_TOKENS,
        "default_max_tokens": DEFAULT_MAX_TOKENS,
    }
    return render(request, "playground/page.html", context)


@require_GET
@requires(Capability.CHAT)
def why(request: HttpRequest, identifier: str) -> HttpResponse:
    """The outcome is written about a second after the answer's end: until then the fragment asks again."""
    record = find(identifier)
    tries = request.GET.get("tries", "")
    tried = int(tries) if tries.isdigit() and len(tries) < 3 else 0
    context = {
        "identifier": identifier,
        "why": explain(record.body, engine_slots()) if record else None,
        "next_try": tried + 1 if tried < WHY_TRIES else None,
    }
    return render(request, "playground/why.html", context)


def engine_choices() -> list[Choice]:
    routes: dict[str, list[str]] = {}
    current = RouteRevision.objects.filter(number=F("route__revision")).select_related("route")
    for revision in current.order_by("route__name"):
        for member in revision.members:
            routes.setdefault(member["engine"], []).append(revision.route.name)
    engines = Engine.objects.with_replicas().order_by("name")
    return [Choice(engine.name, state_word(engine), " ".join(routes.get(engine.name, ()))) for engine in engines]


def engine_slots() -> dict[str, int]:
    return dict(Engine.objects.values_list("name", "slot"))


def state_word(engine: Engine) -> str:
    if engine.state != Engine.State.ACTIVE:
        return str(engine.get_state_display()).lower()
    replicas = list(engine.replicas.all())
    scores = [replica.score for replica in replicas if replica.score is not None]
    if not scores:
        return "not probed yet" if replicas else "no replica"
    healthy = any(replica.in_rotation for replica in replicas)
    return f"{'healthy' if healthy else 'out of rotation'} {max(scores):.2f}"


urlpatterns = [
    path("playground/", playground, name="playground"),
    path("playground/why/<slug:identifier>/", why, name="playground-why"),
]
