"""The gateway's composition root: the four doors to the database, the seal of engine keys, telemetry."""

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import close_old_connections  # noqa: E402

from console import telemetry  # noqa: E402
from engines.network import is_allowed  # noqa: E402
from engines.sealing import unseal  # noqa: E402
from routing import publish, reports, rollup  # noqa: E402
from routing.gateway.app import Gateway  # noqa: E402
from routing.gateway.doors import Options  # noqa: E402


class DatabaseDoors:
    """Each call runs in a thread of the gateway, on that thread's own database connection."""

    def __init__(self, gateway_id: str, observe: Callable[[Iterable[Mapping[str, Any]]], None]) -> None:
        self.gateway_id = gateway_id
        self.observe = observe

    def load_table(self, after: int) -> dict[str, Any] | None:
        close_old_connections()
        return publish.load_table(after)

    def load_health(self, after: int) -> dict[str, Any] | None:
        close_old_connections()
        return publish.load_health(after)

    def save_outcomes(self, batch: list[dict[str, Any]]) -> None:
        close_old_connections()
        rollup.save_outcomes(batch)
        self.observe(batch)

    def report(self, state: dict[str, Any]) -> None:
        close_old_connections()
        reports.save_report(self.gateway_id, state, now=datetime.now(UTC))

    def unseal(self, ciphertext: str) -> str:
        return unseal(ciphertext, settings.FERNET_KEY) or ""


class Application:
    """The gateway, and at its end the telemetry that still has to be sent."""

    def __init__(self) -> None:
        self.stop_telemetry = telemetry.start("gateway")
        self.gateway = make_gateway()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self.gateway(scope, receive, send)
        if scope["type"] == "lifespan":
            self.stop_telemetry()


def make_gateway() -> Gateway:
    gateway_id = f"{socket.gethostname()}:{settings.GATEWAY_PORT}:{os.getpid()}"
    options = Options(
        gateway_id=gateway_id,
        token_key=settings.INTERNAL_TOKEN_KEY.encode(),
        trace_ratio=telemetry.trace_ratio(),
        address_allowed=lambda address: is_allowed(address, settings.ENGINE_NETWORKS),
    )
    return Gateway(DatabaseDoors(gateway_id, telemetry.outcome_meter()), options)


application = Application()
