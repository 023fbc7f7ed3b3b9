"""`manage.py gateway`: the gateway under uvicorn, one process."""

import logging
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand

from routing.gateway.protocol import GatewayProtocol

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30


class Command(BaseCommand):
    help = "Serve /v1/*, /healthz, /livez and /metrics on GATEWAY_HOST and GATEWAY_PORT."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        log.info("starting on http://%s:%d", settings.GATEWAY_HOST, settings.GATEWAY_PORT)
        uvicorn.run(
            "console.gateway:application",
            host=settings.GATEWAY_HOST,
            port=settings.GATEWAY_PORT,
            loop="uvloop",
            http=GatewayProtocol,
            ws="none",
            lifespan="on",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            log_config=None,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            backlog=2048,
        )
