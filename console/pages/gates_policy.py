"""The editor of a policy: every field, the load shape while typing, versions with their differences."""

from dataclasses import replace
from itertools import zip_longest
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST

import console.converters  # noqa: F401  registers <name:…>
from console.charts import gate as drawing
from console.forms.gates import PolicyForm
from console.models import User
from console.pages.gates_compare import differences, flat
from console.pages.gates_curve import curve_context
from console.pages.gates_estimate import estimate
from console.permissions import Capability, may, requires
from gates import actions
from gates.actions import PolicyConflict
from gates.models import GatePolicy
from gates.policy import STANDARD, Policy, from_json, to_json


@require_http_methods(["GET", "POST"])
def policy_page(request: HttpRequest, name: str) -> HttpResponse:
    """Viewers read it; a POST saves the next version."""
    versions = list(GatePolicy.objects.filter(name=name).order_by("-number"))
    if not versions:
        raise Http404(f"No policy is named {name}.")
    if request.method == "POST":
        return save(request, versions)
    shown = next((row for row in versions if str(row.number) == request.GET.get("version")), versions[0])
    form = PolicyForm(policy=from_json(shown.body), expected=versions[0].number)
    return render(request, "gates/policy.html", context(request, versions, form, shown=shown))


@requires(Capability.OPERATE)
def save(request: HttpRequest, versions: list[GatePolicy]) -> HttpResponse:
    current = versions[0]
    form = PolicyForm(request.POST, policy=from_json(current.body), expected=current.number)
    if not form.is_valid():
        return render(request, "gates/policy.html", context(request, versions, form), status=422)
    if form.policy == from_json(current.body):
        messages.info(request, f"Nothing changed: {current} stays in force.")
        return redirect("console:gate-policy", current.name)
    try:
        saved = _create(request, current.name, form)
    except PolicyConflict as conflict:
        return conflict_page(request, current.name, form, conflict)
    messages.success(request, f"{saved} saved. Runs from now on use it; older runs keep their version.")
    return redirect("console:gate-policy", saved.name)


def conflict_page(request: HttpRequest, name: str, form: PolicyForm, conflict: PolicyConflict) -> HttpResponse:
    """Nothing is saved; the form stands on the newest version, with what was typed."""
    versions = list(GatePolicy.objects.filter(name=name).order_by("-number"))
    theirs = versions[0]
    data = request.POST.copy()
    base = next((row for row in versions if str(row.number) == data.get("expected")), None)
    data["expected"] = str(theirs.number)
    again = PolicyForm(data, policy=from_json(theirs.body), expected=theirs.number)
    mine = flat(to_json(form.policy))
    extra = {
        "conflict": theirs,
        "theirs": differences(flat(base.body), flat(theirs.body)) if base else [],
        "mine": differences(flat(theirs.body), mine),
    }
    return render(request, "gates/policy.html", {**context(request, versions, again), **extra}, status=409)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def new_policy(request: HttpRequest) -> HttpResponse:
    source = GatePolicy.objects.filter(pk=_number(request.GET.get("from", ""))).first()
    base = from_json(source.body) if source else STANDARD
    form = PolicyForm(request.POST or None, policy=replace(base, name=""))
    if request.method == "POST" and form.is_valid():
        try:
            saved = _create(request, form.cleaned_data["name"], form)
        except PolicyConflict:
            form.add_error("name", "There is a policy of that name already. Open it to make its next version.")
        else:
            messages.success(request, f"{saved} saved.")
            return redirect("console:gate-policy", saved.name)
    status = 422 if form.errors else 200
    return render(request, "gates/policy.html", context(request, [], form), status=status)


@require_POST
def shape_part(request: HttpRequest) -> HttpResponse:
    """The drawing and the operating curve of what is typed; while a field is wrong, which one and why."""
    form = PolicyForm(request.POST, policy=replace(STANDARD, name="draft"), drawing=True)
    valid = form.is_valid()
    parts = picture(form.policy) if valid else {"form": form}
    return render(request, "gates/picture.html", {"invalid": not valid, "fragment": True, **parts})


def context(
    request: HttpRequest, versions: list[GatePolicy], form: PolicyForm, *, shown: GatePolicy | None = None
) -> dict[str, Any]:
    bound_and_wrong = form.is_bound and not form.is_valid()
    return {
        "form": form,
        "versions": [_version(row, older) for row, older in zip_longest(versions, versions[1:])],
        "shown": shown or (versions[0] if versions else None),
        "newest": versions[0] if versions else None,
        "editable": may(request.user, Capability.OPERATE),
        "invalid": bound_and_wrong,
        **({} if bound_and_wrong else picture(form.policy)),
    }


def picture(policy: Policy) -> dict[str, Any]:
    return {
        "policy": policy,
        "shapes": drawing.load_shape(policy),
        "estimate": estimate(policy),
        **curve_context(policy),
    }


def _version(row: GatePolicy, older: GatePolicy | None) -> tuple[GatePolicy, list[tuple[str, str, str]] | None]:
    """A version with what it changed against the one before; None for the first."""
    if older is None:
        return row, None
    return row, differences(flat(older.body), flat(row.body))


def _create(request: HttpRequest, name: str, form: PolicyForm) -> GatePolicy:
    return actions.create_policy(
        name,
        form.policy,
        actor=cast("User", request.user).actor,
        reason=form.cleaned_data["reason"],
        expected=form.cleaned_data["expected"],
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else 0


urlpatterns: list[URLPattern] = [
    path("gates/policies/new/", new_policy, name="gate-policy-new"),
    path("gates/policies/shape/", shape_part, name="gate-policy-shape"),
    path("gates/policies/<name:name>/", policy_page, name="gate-policy"),
]
