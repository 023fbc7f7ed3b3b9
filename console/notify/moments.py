"""Moments that no audit row stands for: engines that leave rotation or come back, objectives that routes miss.

What was told last is read from the delivery log, so that a new controller goes on where the old one was.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from console.models import Delivery
from console.notify.outbox import tell
from engines.models import Replica
from routing import windows
from routing.models import Route
from routing.publish import current_settings
from routing.windows import WINDOW, Figures

LEAST = 30  # requests; fewer say nothing of a window
GOOD_WINDOWS = 3  # in a row, until a route that missed its objectives counts as meeting them
SETTLE_SECONDS = 10  # outcomes of a window that are still under way when it ends
FLIPS, FLIP_TIME = 6, timedelta(minutes=10)


def rotation(flipped: Iterable[Replica], now: datetime) -> None:
    """A replica that keeps leaving and coming back is told of once in FLIP_TIME, not each time."""
    for replica in flipped:
        action = "engine.entered" if replica.in_rotation else "engine.left"
        word = "is back in rotation" if replica.in_rotation else "left rotation"
        key, text = f"{action}:{replica.pk}:{now.timestamp():.0f}", f"{replica.engine.name} {word}"
        told = Delivery.objects.filter(
            key__regex=rf"^engine\.(left|entered):{replica.pk}:", created_at__gt=now - FLIP_TIME
        )
        if told.order_by().values("key").distinct().count() >= FLIPS:
            action, text = "engine.left", f"{replica.engine.name} keeps leaving rotation and coming back"
            key = f"engine.flapping:{replica.pk}:{now.timestamp() // FLIP_TIME.total_seconds():.0f}"
        tell(
            action, f"engine:{replica.engine.name}", key=key, now=now,
            text=f"{text}, with score {replica.score or 0:.2f}.", facts={"score": replica.score},
        )  # fmt: skip


class Objectives:
    """Each route's last finished window: told when it misses its objectives, and when it meets them again for good."""

    def __init__(self) -> None:
        self._judged: datetime | None = None

    def look(self, now: datetime) -> None:
        """Once for each window of 60 s, SETTLE_SECONDS after its end."""
        end = windows.floor(now)
        if self._judged == end or (now - end).total_seconds() < SETTLE_SECONDS:
            return
        self._judged = end
        for route in Route.objects.values_list("name", flat=True):
            judge(route, end, now)


def judge(route: str, end: datetime, now: datetime) -> None:
    seen = windows.figures(end - WINDOW, end, route=route)
    if seen.judged < LEAST:
        return
    missed, was = misses(seen), _missed_last(route)
    if missed and not was:
        _tell_route("slo.missed", route, seen, now=now)
    elif was and not missed and all(_good(route, end - number * WINDOW) for number in range(1, GOOD_WINDOWS)):
        _tell_route("slo.met", route, seen, now=now)


def misses(seen: Figures) -> bool:
    """A single error or two of a short window are no miss."""
    limits = current_settings()
    slow = (seen.ttft_p95() or 0) > limits.ttft_limit or (seen.e2e_p95() or 0) > limits.e2e_limit
    return slow or (seen.error_rate or 0) >= max(limits.error_rate_limit, 2 / seen.judged)


def _good(route: str, end: datetime) -> bool:
    seen = windows.figures(end - WINDOW, end, route=route)
    return seen.judged >= LEAST and not misses(seen)


def _missed_last(route: str) -> bool:
    told = (
        Delivery.objects.filter(action__in=("slo.missed", "slo.met"), key__contains=f":{route}:")
        .order_by("-pk")
        .first()
    )
    return told is not None and told.action == "slo.missed"


def _tell_route(action: str, route: str, seen: Figures, *, now: datetime) -> None:
    words = "missed its objectives" if action == "slo.missed" else "meets its objectives again"
    errors, end = f"{100 * (seen.error_rate or 0):.1f} % errors", seen.start + WINDOW
    text = f"Route {route} {words} in the minute before {end:%H:%M} UTC: {seen.judged} requests, {errors}."
    tell(action, f"route:{route}", key=f"{action}:{route}:{end.timestamp():.0f}", now=now, text=text, facts={})
