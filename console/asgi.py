"""The console's ASGI application: pages over HTTP, one websocket per page. API traffic never passes here."""

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.core.asgi import get_asgi_application

from console import telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

telemetry.start("console")
pages = get_asgi_application()  # sets Django up, so it precedes what imports models

from django.conf import settings  # noqa: E402

from console.urls import websocket_urlpatterns  # noqa: E402


def without_root_path(app: Any) -> Any:
    """Daphne lets any client set root_path by a header (reliability.md D16)."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if "root_path" in scope:
            scope = {**scope, "root_path": ""}
        await app(scope, receive, send)

    return guarded


sockets = OriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.CSRF_TRUSTED_ORIGINS)
application = without_root_path(ProtocolTypeRouter({"http": pages, "websocket": sockets}))
