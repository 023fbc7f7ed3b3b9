"""Every address of the console, grouped by what it is about."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("accounts/", include("allauth.account.urls"))]
websocket_urlpatterns: list[URLPattern] = []
