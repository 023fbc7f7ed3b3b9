"""Overview: is it bad, since when, what changed, and the way back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "overview/page.html")


urlpatterns: list[URLPattern] = [path("", overview, name="overview")]
