"""Notifications: channels and what went out to them."""

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.notifications import ChannelForm
from console.models import Channel, Delivery, User
from console.notify import actions
from console.permissions import Capability, requires
from engines.actors import Actor

SHOWN = 100
TONES = {Delivery.State.QUEUED: "run", Delivery.State.SENT: "ok", Delivery.State.FAILED: "fail"}


@require_GET
def notifications(request: HttpRequest) -> HttpResponse:
    log = Delivery.objects.select_related("channel").order_by("-pk")[:SHOWN]
    lines = [(row, TONES[Delivery.State(row.state)]) for row in log]
    channels = Channel.objects.order_by("name")
    return render(request, "notifications/page.html", {"channels": channels, "lines": lines})


@require_http_methods(["GET", "POST"])
@requires(Capability.ADMINISTER)
def new_channel(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@requires(Capability.ADMINISTER)
def channel_page(request: HttpRequest, channel: int) -> HttpResponse:
    return _edit(request, get_object_or_404(Channel, pk=channel))


def _edit(request: HttpRequest, channel: Channel | None) -> HttpResponse:
    form = ChannelForm(request.POST if request.method == "POST" else None, channel=channel)
    if request.method == "POST" and form.is_valid():
        saved = actions.save_channel(channel, actor=_actor(request), **form.cleaned_data)
        messages.success(request, f"Channel {saved.name} saved.")
        return redirect("console:notifications")
    context = {"form": form, "channel": channel}
    return render(request, "notifications/channel.html", context, status=422 if form.errors else 200)


@require_POST
@requires(Capability.ADMINISTER)
def act(request: HttpRequest, channel: int) -> HttpResponse:
    """`do` is test, on, off or delete."""
    found, do = get_object_or_404(Channel, pk=channel), request.POST.get("do", "")
    if do == "test":
        actions.test_message(found)
        messages.success(request, f"A test to {found.name} is queued; the log below says how it went.")
    elif do in {"on", "off"}:
        actions.switch_channel(found, enabled=do == "on", actor=_actor(request))
        messages.success(request, f"Channel {found.name} is {do}.")
    elif do == "delete":
        actions.delete_channel(found, actor=_actor(request))
        messages.success(request, f"Channel {found.name} deleted.")
    return redirect("console:notifications")


@require_POST
@requires(Capability.ADMINISTER)
def retry(request: HttpRequest, delivery: int) -> HttpResponse:
    actions.retry(get_object_or_404(Delivery, pk=delivery))
    messages.success(request, "Queued once more.")
    return redirect("console:notifications")


def _actor(request: HttpRequest) -> Actor:
    return cast("User", request.user).actor


urlpatterns: list[URLPattern] = [
    path("notifications/", notifications, name="notifications"),
    path("notifications/new/", new_channel, name="channel-new"),
    path("notifications/<int:channel>/", channel_page, name="channel"),
    path("notifications/<int:channel>/act/", act, name="channel-act"),
    path("notifications/deliveries/<int:delivery>/retry/", retry, name="delivery-retry"),
]
