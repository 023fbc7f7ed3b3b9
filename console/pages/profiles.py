"""Launch profiles: the list, the editor with the command line, versions with their differences."""

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import console.converters  # noqa: F401  registers <name:…>
from console.forms.profiles import ProfileForm
from console.models import User
from console.pages import launched, sweeps
from console.permissions import Capability, may, requires
from engines import profiles
from engines.launch.profile import KINDS, Profile, diff
from engines.launch.render import render as render_command
from engines.launch.render import shell, unit
from engines.launch.settings import BY_NAME, Value
from engines.models import Engine, LaunchProfile, Replica, TuningSweep
from engines.profiles import ProfileConflict, value_of

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
Change = tuple[str, str, str]


@require_GET
def profile_list(request: HttpRequest) -> HttpResponse:
    labels = dict(Engine.Kind.choices)
    stamped = list(Replica.objects.exclude(profile_digest="").select_related("engine"))
    lines = [
        (
            row,
            labels.get(row.body["kind"], row.body["kind"]),
            [one for one in stamped if one.profile_digest == row.digest],
        )
        for row in profiles.newest_versions()
    ]
    running, supervised = launched.lines()
    shown = {"lines": lines, "kinds": kinds(), "launched": running, "supervised": supervised}
    return render(request, "profiles/page.html", shown)


@require_http_methods(["GET", "POST"])
def profile_page(request: HttpRequest, name: str) -> HttpResponse:
    """Viewers read it; a POST saves the next version."""
    versions = list(LaunchProfile.objects.filter(name=name).order_by("-number"))
    if not versions:
        raise Http404(f"No profile is named {name}.")
    if request.method == "POST":
        return save(request, versions)
    shown = next((row for row in versions if str(row.number) == request.GET.get("version")), versions[0])
    form = ProfileForm(profile=value_of(shown), expected=versions[0].number)
    return render(request, "profiles/profile.html", context(request, versions, form, shown=shown))


@requires(Capability.OPERATE)
def save(request: HttpRequest, versions: list[LaunchProfile]) -> HttpResponse:
    current = versions[0]
    form = ProfileForm(request.POST, profile=value_of(current), expected=current.number)
    if not form.is_valid():
        return render(request, "profiles/profile.html", context(request, versions, form), status=422)
    if form.profile == value_of(current):
        messages.info(request, f"Nothing changed: {current} stays in force.")
        return redirect("console:profile", current.name)
    try:
        saved = _create(request, current.name, form)
    except ProfileConflict as conflict:
        return conflict_page(request, current.name, form, conflict)
    messages.success(request, f"{saved} saved. Engines that run keep the version that they were started by.")
    return redirect("console:profile", saved.name)


def conflict_page(request: HttpRequest, name: str, form: ProfileForm, conflict: ProfileConflict) -> HttpResponse:
    """Nothing is saved; the form stands on the newest version, with what was typed."""
    versions = list(LaunchProfile.objects.filter(name=name).order_by("-number"))
    theirs, data = versions[0], request.POST.copy()
    base = next((row for row in versions if str(row.number) == data.get("expected")), None)
    data["expected"] = str(theirs.number)
    again = ProfileForm(data, profile=value_of(theirs), expected=theirs.number)
    extra = {
        "conflict": theirs,
        "theirs": changes(value_of(base), value_of(theirs)) if base else [],
        "mine": changes(value_of(theirs), form.profile),
    }
    return render(request, "profiles/profile.html", {**context(request, versions, again), **extra}, status=409)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def new_profile(request: HttpRequest) -> HttpResponse:
    """Of the kind in the address, or a copy of the version that it names."""
    form = ProfileForm(request.POST or None, profile=_start(request))
    if request.method == "POST" and form.is_valid():
        try:
            saved = _create(request, form.cleaned_data["name"], form)
        except ProfileConflict:
            form.add_error("name", "There is a profile of that name already. Open it to make its next version.")
        else:
            messages.success(request, f"{saved} saved.")
            return redirect("console:profile", saved.name)
    status = 422 if form.errors else 200
    return render(request, "profiles/profile.html", context(request, [], form), status=status)


@require_POST
def command_part(request: HttpRequest, kind: str) -> HttpResponse:
    """The command line of what is typed; while a field is wrong, which one and why."""
    if kind not in KINDS:
        raise Http404(f"Engines of kind {kind} are not started from here.")
    form = ProfileForm(request.POST, profile=Profile(kind=kind, model=""), drawing=True)
    valid = form.is_valid()
    name = request.POST.get("name", "")
    parts = commands(form.profile, name) if valid else {"form": form}
    return render(request, "profiles/command.html", {"invalid": not valid, **parts})


def context(
    request: HttpRequest, versions: list[LaunchProfile], form: ProfileForm, *, shown: LaunchProfile | None = None
) -> dict[str, Any]:
    newest = versions[0] if versions else None
    current = shown or newest
    wrong = form.is_bound and not form.is_valid()
    drawn = {} if wrong or not form.profile.model else commands(form.profile, current.name if current else "")
    return {
        "form": form,
        "kind": form.kind,
        "kind_label": Engine.Kind(form.kind.kind).label,
        "versions": [_version(row, older) for row, older in zip_longest(versions, versions[1:])],
        "shown": current,
        "newest": newest,
        "facts": facts(form.profile),
        "sweeps": sweeps_of(newest),
        "editable": may(request.user, Capability.OPERATE),
        "invalid": wrong,
        **drawn,
    }


def sweeps_of(newest: LaunchProfile | None) -> list[TuningSweep]:
    """The last ten of any version."""
    if newest is None:
        return []
    return list(TuningSweep.objects.filter(profile__name=newest.name).select_related("profile").order_by("-pk")[:10])


def commands(profile: Profile, name: str) -> dict[str, str]:
    """What can be copied. `name` may be anything while a new profile is typed."""
    named = name if NAME.fullmatch(name) else "profile"
    return {
        "command": shell(render_command(profile, options_file=f"{named}.yaml")),
        "unit": unit(profile, named),
        "unit_name": f"engine-{named}.service",
    }


def facts(profile: Profile) -> list[Change]:
    """(label, value, sentence) of what is set."""
    found = [
        (BY_NAME[name].label, words(name, value), BY_NAME[name].sentence) for name, value in profile.settings.items()
    ]
    return [("Model", profile.model, ""), *found] if profile.model else found


def changes(a: Profile, b: Profile) -> list[Change]:
    return [(label(name), words(name, old), words(name, new)) for name, old, new in diff(a, b)]


def label(name: str) -> str:
    return BY_NAME[name].label.lower() if name in BY_NAME else name


def words(name: str, value: Value | None) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    unit_of = BY_NAME[name].unit if name in BY_NAME else ""
    return f"{value} {unit_of}".strip()


def kinds() -> Sequence[tuple[str, str]]:
    return [(kind, Engine.Kind(kind).label) for kind in KINDS]


def _version(row: LaunchProfile, older: LaunchProfile | None) -> tuple[LaunchProfile, list[Change] | None]:
    """A version with what it changed against the one before; None for the first."""
    return row, None if older is None else changes(value_of(older), value_of(row))


def _start(request: HttpRequest) -> Profile:
    source, kind = request.GET.get("from", ""), request.GET.get("kind", "")
    known = source.isdecimal() and len(source) < 18
    row = LaunchProfile.objects.filter(pk=source).first() if known else None
    if row is not None:
        return value_of(row)
    if kind not in KINDS:
        raise Http404("Choose the kind of engine on the list of profiles.")
    return Profile(kind=kind, model="")


def _create(request: HttpRequest, name: str, form: ProfileForm) -> LaunchProfile:
    return profiles.create(
        name, form.profile, actor=cast("User", request.user).actor, reason=form.cleaned_data["reason"],
        expected=form.cleaned_data["expected"],
    )  # fmt: skip


urlpatterns: list[URLPattern] = [
    path("engines/profiles/", profile_list, name="profiles"),
    path("engines/profiles/new/", new_profile, name="profile-new"),
    path("engines/profiles/command/<name:kind>/", command_part, name="profile-command"),
    *launched.urlpatterns,
    *sweeps.urlpatterns,
    path("engines/profiles/<name:name>/", profile_page, name="profile"),
]
