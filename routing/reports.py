"""What gateways say of themselves, and so who has acknowledged a table."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from routing.models import GatewayReport

LIVE = timedelta(seconds=10)
FORGOTTEN = timedelta(hours=1)


def save_report(gateway_id: str, state: Mapping[str, Any], *, now: datetime) -> None:
    GatewayReport.objects.update_or_create(
        gateway_id=gateway_id,
        defaults={"at": now, "table_version": state["table_version"], "body": dict(state)},
    )


def live_reports(now: datetime) -> list[GatewayReport]:
    """Reports of gateways heard of in the last ten seconds."""
    return list(GatewayReport.objects.filter(at__gt=now - LIVE).order_by("gateway_id"))


def forget_silent(now: datetime) -> None:
    """A gateway that stopped an hour ago is history."""
    GatewayReport.objects.filter(at__lt=now - FORGOTTEN).delete()
