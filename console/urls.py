"""Every address of the console. Each page module lists its own; the order here is the order of the rail."""

from django.urls import URLPattern, URLResolver, include, path

from console import accounts
from console.api import urls as api
from console.consumers import LiveConsumer
from console.pages import approvals, audit, engines, gates, notifications, overview, playground, releases, traffic
from console.playground_consumer import PlaygroundConsumer

pages: list[URLPattern] = [
    *overview.urlpatterns,
    *engines.urlpatterns,
    *traffic.urlpatterns,
    *playground.urlpatterns,
    *gates.urlpatterns,
    *releases.urlpatterns,
    *approvals.urlpatterns,
    *audit.urlpatterns,
    *notifications.urlpatterns,
]

urlpatterns: list[URLPattern | URLResolver] = [
    *accounts.closed,
    path("accounts/", include("allauth.account.urls")),
    path("api/v1/", include((api.urlpatterns, api.app_name), namespace=api.namespace)),
    path("", include((pages, "console"))),
]

websocket_urlpatterns: list[URLPattern] = [
    path("ws/console/", LiveConsumer.as_asgi()),
    path("ws/playground/", PlaygroundConsumer.as_asgi()),
]
