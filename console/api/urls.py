"""The control API at /api/v1/, its OpenAPI document at /api/v1/openapi.json. docs/api.md is for its users.

Keys open it, not sessions: so no login, and nothing that a browser's cookie could be made to do.
"""

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern
from ninja import NinjaAPI

from console.api import errors, inventory, releases, runs
from console.api.auth import NO_KEY, ControlKey

api = NinjaAPI(
    title="Engine console",
    version="1",
    description="Gate runs and releases for pipelines. Needs a client key with the scope `control`.",
    auth=ControlKey(),
    docs_url=None,  # its pages load scripts from a CDN
    urls_namespace="control-api",
)
errors.install(api, no_key=NO_KEY)
api.add_router("", inventory.router)
api.add_router("/gates/runs", runs.router)
api.add_router("/releases", releases.router)

_patterns, app_name, namespace = api.urls
urlpatterns: list[URLPattern] = [pattern for pattern in _patterns if isinstance(pattern, URLPattern)]
for _pattern in urlpatterns:
    _pattern.callback = login_not_required(_pattern.callback)
