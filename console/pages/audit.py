"""Audit: every change, newest first, and whether the chain of rows still holds."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from console.models import AuditEvent

PAGE = 50


@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    return render(request, "audit/page.html", {"events": AuditEvent.objects.order_by("-sequence")[:PAGE]})


urlpatterns: list[URLPattern] = [path("audit/", audit, name="audit")]
