"""Up to which moment every live gateway has decided and saved the requests of a route."""

from datetime import datetime

from routing.reports import live_reports

UNSEEN_SECONDS = 5.0


def decided_until(route: str, now: datetime, *, e2e_limit: float) -> float | None:
    """Unix seconds; None when no gateway is heard of, so that nobody knows.

    A gateway that does not know of the owner yet may still hold requests as old as the E2E limit.
    """
    reports = live_reports(now)
    if not reports:
        return None
    unseen = now.timestamp() - e2e_limit - UNSEEN_SECONDS
    told = [float(row.body.get("decided_until", {}).get(route, unseen)) for row in reports]
    return min(*told, *(row.at.timestamp() for row in reports))
