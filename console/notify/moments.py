"""Moments that no audit row stands for: engines that leave rotation or come back, objectives that routes miss."""

from collections.abc import Iterable
from datetime import datetime

from console.notify.outbox import tell
from engines.models import Replica
from routing import windows
from routing.models import Route
from routing.publish import current_settings
from routing.windows import WINDOW

LEAST = 30  # requests; fewer say nothing of a window


def rotation(flipped: Iterable[Replica], now: datetime) -> None:
    for replica in flipped:
        action = "engine.entered" if replica.in_rotation else "engine.left"
        word = "is back in rotation" if replica.in_rotation else "left rotation"
        tell(
            action, f"engine:{replica.engine.name}", key=f"{action}:{replica.pk}:{now.timestamp():.0f}", now=now,
            text=f"{replica.engine.name} {word} with score {replica.score or 0:.2f}.", facts={"score": replica.score},
        )  # fmt: skip


class Objectives:
    """Each route's last finished window: told when it turns from met to missed, and back."""

    def __init__(self) -> None:
        self._missed: dict[str, bool] = {}
        self._judged: datetime | None = None

    def look(self, now: datetime) -> None:
        """Once for each window of 60 s, ten seconds after its end."""
        end = windows.floor(now)
        if self._judged == end or (now - end).total_seconds() < 10:
            return
        self._judged = end
        for route in Route.objects.values_list("name", flat=True):
            self._judge(route, end, now)

    def _judge(self, route: str, end: datetime, now: datetime) -> None:
        limits, seen = current_settings(), windows.figures(end - WINDOW, end, route=route)
        if seen.judged < LEAST:
            return
        slow = (seen.ttft_p95() or 0) > limits.ttft_limit or (seen.e2e_p95() or 0) > limits.e2e_limit
        missed = slow or (seen.error_rate or 0) >= max(limits.error_rate_limit, 2 / seen.judged)
        if missed != self._missed.get(route, False):
            action = "slo.missed" if missed else "slo.met"
            words = "missed its objectives" if missed else "meets its objectives again"
            errors = f"{100 * (seen.error_rate or 0):.1f} % errors"
            text = f"Route {route} {words} in the minute before {end:%H:%M} UTC: {seen.judged} requests, {errors}."
            tell(action, f"route:{route}", key=f"{action}:{route}:{end.timestamp():.0f}", now=now, text=text, facts={})
        self._missed[route] = missed
