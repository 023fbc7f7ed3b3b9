"""Traffic: what each route is asked to do, what it does, and the editor that changes it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_POST

import console.converters  # noqa: F401  registers <name:…>
from console.pages import traffic_acts
from console.pages.traffic_view import editor_for, preview_context, render_route, truth_context
from console.permissions import Capability, requires
from engines.models import Engine
from routing.models import Route


@require_GET
def traffic(request: HttpRequest) -> HttpResponse:
    first = Route.objects.order_by("name").first()
    if first is not None:
        return redirect("console:traffic-route", first.name)
    return render(request, "traffic/empty.html", {"engines": Engine.objects.count()})


@require_GET
def route_page(request: HttpRequest, route: str) -> HttpResponse:
    return render_route(request, get_object_or_404(Route, name=route))


@require_GET
def truth_part(request: HttpRequest, route: str) -> HttpResponse:
    found = get_object_or_404(Route, name=route)
    return render(request, "traffic/truth.html", truth_context(found))


@require_POST
@requires(Capability.OPERATE)
def preview(request: HttpRequest, route: str) -> HttpResponse:
    """A fragment for htmx; without it the whole page with the form as it was sent."""
    found = get_object_or_404(Route, name=route)
    form = editor_for(found, request.POST)
    if not getattr(request, "htmx", False):
        return render_route(request, found, form=form)
    context = {"route": found, "form": form, "fragment": True, **preview_context(found, form)}
    return render(request, "traffic/preview.html", context)


urlpatterns: list[URLPattern] = [
    path("traffic/", traffic, name="traffic"),
    *traffic_acts.urlpatterns,
    path("traffic/<name:route>/", route_page, name="traffic-route"),
    path("traffic/<name:route>/truth/", truth_part, name="traffic-truth"),
    path("traffic/<name:route>/preview/", preview, name="traffic-preview"),
]
