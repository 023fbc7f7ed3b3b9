"""Engines that were launched on this machine: start, drain and stop, sleep, wake, and the end of their log."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods
from kombu.exceptions import OperationalError

import console.converters  # noqa: F401  registers <name:…>
from console import launching, logtail, supervise, tasks
from console.forms.engines import ReasonForm
from console.forms.launch import LaunchForm
from console.launching import CannotLaunch
from console.models import User
from console.permissions import Capability, requires
from console.supervise import NoSupervisor, State
from engines import launched, profiles
from engines.actors import Actor
from engines.client import EngineFailure
from engines.launch.profile import InvalidProfile
from engines.launched import EngineTaken
from engines.local import NotInstalled
from engines.models import Engine, LaunchProfile, Replica

REFUSED = (CannotLaunch, EngineTaken, InvalidProfile, NotInstalled, NoSupervisor)
WORDS = {
    "RUNNING": ("ok", "Running"),
    "STARTING": ("run", "Starting"),
    "BACKOFF": ("warn", "Waiting to start again"),
    "STOPPING": ("hold", "Stopping"),
    "FATAL": ("fail", "Gave up"),
}
ACTS = {
    "stop": (
        "Drain and stop",
        "New requests go elsewhere, running ones finish for up to a minute, then it ends.",
    ),
    "sleep": ("Put to sleep", "It drains, then gives its GPU memory back. Waking it needs no reload."),
    "wake": ("Wake", "It takes its memory again and is active once more."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One launched engine as the list shows it. `acts` are those that make sense now."""

    replica: Replica
    version: LaunchProfile | None
    tone: str
    word: str
    since: datetime | None
    detail: str
    acts: tuple[tuple[str, str], ...]


def lines() -> tuple[list[Line], bool]:
    """And whether a supervisor is there to start more."""
    supervisor = supervise.running()
    states = supervisor.states() if supervisor else {}
    return [line(row, states.get(row.managed_by)) for row in launched.replicas()], supervisor is not None


def line(replica: Replica, state: State | None) -> Line:
    stopped = "Stopped" if replica.engine.state == Engine.State.DISABLED else "Not under supervisor"
    tone, word = WORDS.get(state.state, ("idle", "Ended")) if state else ("idle", stopped)
    live = state is not None and state.live
    names = ["stop"] if live else []
    if live and launching.can_sleep(replica):
        names.append("sleep" if replica.engine.state == Engine.State.ACTIVE else "wake")
    return Line(
        replica=replica,
        version=profiles.with_digest(replica.profile_digest),
        tone=tone,
        word=word,
        since=datetime.fromtimestamp(state.since, UTC) if state and state.since else None,
        detail=state.words if state else "",
        acts=tuple((name, ACTS[name][0]) for name in names),
    )


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def launch(request: HttpRequest, name: str) -> HttpResponse:
    version = profiles.newest(name)
    if version is None:
        raise Http404(f"No profile is named {name}.")
    form = LaunchForm(request.POST or None, name=name)
    if request.method == "POST" and form.is_valid():
        try:
            replica = started(version, form, actor_of(request))
        except REFUSED as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, f"{replica.engine.name} starts at {replica.url}. It is ready when it is healthy.")
            return redirect("console:launched-log", replica.engine.name)
    shown = {"form": form, "version": version, "supervised": supervise.running() is not None}
    return render(request, "profiles/launch.html", shown, status=422 if form.errors else 200)


def started(version: LaunchProfile, form: LaunchForm, actor: Actor) -> Replica:
    """Raises what REFUSED names."""
    supervisor = supervise.running()
    if supervisor is None:
        raise NoSupervisor("The product does not run under supervisor here: use manage.py launch on the machine.")
    data = form.cleaned_data
    made = launching.plan(version, engine=data["engine"], port=data["port"])
    return launching.start(made, supervisor, actor=actor, reason=data["reason"])


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def act(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    replica = launched.replica_of(name)
    if replica is None or verb not in ACTS:
        raise Http404(f"No engine named {name} was launched.")
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, done(verb, replica, actor_of(request), form.cleaned_data["reason"]))
            return redirect("console:profiles")
        except (CannotLaunch, EngineFailure, OperationalError, OSError) as refused:
            form.add_error(None, f"{replica.engine.name}: {refused}")
    title, words = ACTS[verb]
    shown = {"form": form, "engine": replica.engine, "title": title, "words": words}
    return render(request, "profiles/act.html", shown, status=422 if form.errors else 200)


def done(verb: str, replica: Replica, actor: Actor, reason: str) -> str:
    """What waits for requests to end goes to the worker; traffic is taken off at once."""
    name, who = replica.engine.name, [actor.kind, actor.id, actor.name]
    if verb == "wake":
        launching.wake(replica, actor=actor, reason=reason)
        return f"{name} is awake."
    if verb == "sleep":
        tasks.sleep_launched.apply_async([name, who, reason], retry=False)
        return f"{name} drains and then sleeps."
    launched.withdraw(replica, actor=actor, reason=reason)
    tasks.stop_launched.apply_async([name, replica.url, who, reason], retry=False)
    return f"{name} drains and then stops."


@require_GET
@requires(Capability.OPERATE)
def log_page(request: HttpRequest, name: str) -> HttpResponse:
    """The last lines; a log may hold parts of prompts, so it is for operators."""
    found = logtail.tail(supervise.log_of(launched.process_name(name)))
    engine = Engine.objects.filter(name=name).first()
    if engine is None and not found:
        raise Http404(f"No engine named {name} was launched.")
    part = request.headers.get("HX-Target") == "log"
    shown: dict[str, Any] = {"name": name, "engine": engine, "lines": found, "most": logtail.LINES}
    return render(request, "profiles/log_lines.html" if part else "profiles/log.html", shown)


def actor_of(request: HttpRequest) -> Actor:
    return cast("User", request.user).actor


urlpatterns: list[URLPattern] = [
    path("engines/profiles/<name:name>/launch/", launch, name="profile-launch"),
    path("engines/launched/<name:name>/log/", log_page, name="launched-log"),
    path("engines/launched/<name:name>/<slug:verb>/", act, name="launched-act"),
]
