"""Approvals: the queue, one request with its evidence, and the decision."""

from typing import Any, cast

from allauth.core import ratelimit
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from console.forms.releases import BreakGlassForm, DecideForm
from console.models import User
from console.pages.releases import load
from console.permissions import Capability, may, requires
from gates import approvals
from gates.approval_evidence import items
from gates.approvals import Refused
from gates.models import Approval

SHOWN = 100
TABS = (("me", "Needs me"), ("mine", "Mine"), ("all", "All"), ("decided", "Decided"))
TONES = {
    Approval.State.PENDING: "hold", Approval.State.APPROVED: "ok", Approval.State.USED: "ok",
    Approval.State.REJECTED: "fail", Approval.State.EXPIRED: "idle", Approval.State.STALE: "warn",
    Approval.State.WITHDRAWN: "idle",
}  # fmt: skip


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    tab = request.GET.get("tab", "me")
    user = cast("User", request.user)
    found = Approval.objects.select_related("release").order_by("-pk")
    if tab == "mine":
        found = found.filter(requester_id=str(user.pk))
    elif tab == "decided":
        found = found.exclude(state=Approval.State.PENDING)
    elif tab != "all":
        found = found.filter(state=Approval.State.PENDING).exclude(requester_id=str(user.pk))
    lines = [(row, TONES[Approval.State(row.state)], title(row)) for row in found[:SHOWN]]
    last = Approval.objects.exclude(state=Approval.State.PENDING).select_related("release").order_by("-decided_at")[:5]
    context = {"lines": lines, "tab": tab, "tabs": TABS, "last": [(row, title(row)) for row in last]}
    return render(request, "approvals/page.html", context)


@require_GET
def approval_page(request: HttpRequest, approval: int) -> HttpResponse:
    return render_one(request, get_object_or_404(Approval, pk=approval))


@require_POST
@requires(Capability.APPROVE)
def decide(request: HttpRequest, approval: int) -> HttpResponse:
    """`do` is approve or reject. The password is checked here, as often a minute as a log-in may be tried."""
    found = get_object_or_404(Approval, pk=approval)
    form, user = DecideForm(request.POST), cast("User", request.user)
    if not form.is_valid():
        return render_one(request, found, form=form, status=422)
    comment = form.cleaned_data["comment"]
    try:
        if request.POST.get("do") == "reject":
            approvals.reject(found, actor=user.actor, comment=comment)
        else:
            known = password_is_right(request, user, form.cleaned_data["password"])
            approvals.approve(found, actor=user.actor, comment=comment, reauthenticated=known)
    except Refused as refused:
        form.add_error(None, str(refused))
        return render_one(request, found, form=form, status=409)
    found.refresh_from_db()
    messages.success(request, f"A-{found.pk}: {found.get_state_display().lower()}.")
    return redirect("console:approval", found.pk)


@require_POST
@requires(Capability.BREAK_GLASS)
def break_glass(request: HttpRequest, approval: int) -> HttpResponse:
    found = get_object_or_404(Approval, pk=approval)
    form = BreakGlassForm(request.POST)
    if not form.is_valid():
        return render_one(request, found, glass=form, status=422)
    try:
        approvals.break_glass(found, actor=cast("User", request.user).actor, **form.cleaned_data)
    except Refused as refused:
        form.add_error(None, str(refused))
        return render_one(request, found, glass=form, status=409)
    messages.warning(request, f"A-{found.pk}: the glass is broken. All approvers can see it in the audit.")
    return redirect("console:approval", found.pk)


def password_is_right(request: HttpRequest, user: User, password: str) -> bool:
    """Raises Refused after too many tries."""
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        raise Refused("Too many tries. Wait a minute.")
    if password and not user.check_password(password):
        raise Refused("This password is not right.")
    return bool(password)


def title(approval: Approval) -> str:
    """The change in words."""
    release = approval.release
    return f"{release.candidate} {approval.from_stage} % → {approval.target_stage} % of {release.route}"


def render_one(
    request: HttpRequest,
    approval: Approval,
    *,
    form: DecideForm | None = None,
    glass: BreakGlassForm | None = None,
    status: int = 200,
) -> HttpResponse:
    approval.refresh_from_db()
    release = load(approval.release_id)
    context: dict[str, Any] = {
        "approval": approval,
        "release": release,
        "title": title(approval),
        "tone": TONES[Approval.State(approval.state)],
        "items": items(approval, release, timezone.now()),
        "before": 100 - approval.from_stage,
        "after": 100 - approval.target_stage,
        "form": form or DecideForm(),
        "glass": glass or BreakGlassForm(),
        **rights(cast("User", request.user), approval),
    }
    return render(request, "approvals/approval.html", context, status=status)


def rights(user: User, approval: Approval) -> dict[str, bool]:
    own = approval.requester_id == str(user.pk)
    pending = approval.state == Approval.State.PENDING
    return {
        "own": own,
        "pending": pending,
        "may_decide": pending and not own and may(user, Capability.APPROVE),
        "may_break": pending and may(user, Capability.BREAK_GLASS),
    }


urlpatterns: list[URLPattern] = [
    path("approvals/", queue, name="approvals"),
    path("approvals/<int:approval>/", approval_page, name="approval"),
    path("approvals/<int:approval>/decide/", decide, name="approval-decide"),
    path("approvals/<int:approval>/break-glass/", break_glass, name="approval-break-glass"),
]
