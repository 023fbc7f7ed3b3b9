"""The editor of release policies: versions, and the next one by compare-and-set."""

from dataclasses import replace
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

import console.converters  # noqa: F401  registers <name:…>
from console.forms.release_policy import ReleasePolicyForm
from console.models import User
from console.permissions import Capability, may, requires
from gates import actions as gate_actions
from gates import release_policies
from gates.models import ReleasePolicyVersion
from gates.release_policies import ReleasePolicyConflict
from gates.release_policy import STANDARD, ReleasePolicy, from_json


@require_http_methods(["GET", "POST"])
def policy_page(request: HttpRequest, name: str) -> HttpResponse:
    """Viewers read it; a POST saves the next version."""
    current = release_policies.newest(name)
    if current is None:
        raise Http404(f"No release policy is named {name}.")
    if request.method == "POST":
        return save(request, current)
    return _page(request, _form(from_json(current.body), expected=current.number), current)


@requires(Capability.OPERATE)
def save(request: HttpRequest, current: ReleasePolicyVersion) -> HttpResponse:
    form = _form(from_json(current.body), expected=current.number, data=request.POST)
    if not form.is_valid():
        return _page(request, form, current, status=422)
    if form.policy == from_json(current.body):
        messages.info(request, f"Nothing changed: {current} stays in force.")
        return redirect("console:release-policy", current.name)
    return _create(request, form, current.name, current)


@require_http_methods(["GET", "POST"])
@requires(Capability.OPERATE)
def new_policy(request: HttpRequest) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    form = _form(replace(STANDARD, name=""), expected=0, data=data)
    if data is not None and form.is_valid():
        return _create(request, form, form.cleaned_data["name"], None)
    return _page(request, form, None, status=422 if form.errors else 200)


def _create(
    request: HttpRequest, form: ReleasePolicyForm, name: str, current: ReleasePolicyVersion | None
) -> HttpResponse:
    actor, reason = cast("User", request.user).actor, form.cleaned_data["reason"]
    expected = form.cleaned_data["expected"]
    try:
        saved = release_policies.create(name, form.policy, actor=actor, reason=reason, expected=expected)
    except ReleasePolicyConflict as conflict:
        form.add_error(None, f"Somebody saved {conflict.current} meanwhile. Open it again; nothing of yours was saved.")
        return _page(request, form, current, status=409)
    messages.success(request, f"{saved} saved. Releases that run keep their version; their open approvals are void.")
    return redirect("console:release-policy", saved.name)


def _form(policy: ReleasePolicy, *, expected: int, data: Any = None) -> ReleasePolicyForm:
    names = [row.name for row in gate_actions.newest_versions()]
    return ReleasePolicyForm(data, policy=policy, gate_policies=names, expected=expected)


def _page(
    request: HttpRequest, form: ReleasePolicyForm, current: ReleasePolicyVersion | None, *, status: int = 200
) -> HttpResponse:
    versions = ReleasePolicyVersion.objects.filter(name=current.name).order_by("-number") if current else []
    context = {
        "form": form,
        "current": current,
        "policy": from_json(current.body) if current else None,
        "versions": versions,
        "may_edit": may(request.user, Capability.OPERATE),
    }
    return render(request, "releases/policy.html", context, status=status)


urlpatterns: list[URLPattern] = [
    path("releases/policies/new/", new_policy, name="release-policy-new"),
    path("releases/policies/<name:name>/", policy_page, name="release-policy"),
]
