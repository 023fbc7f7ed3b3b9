"""What the controller remembers of each release that it watches: the detectors, fed in the order of assignment.

In memory only: a controller that starts anew feeds the same outcomes again and comes to the same state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gates.detectors.bank import Bank
from gates.detectors.events import Event, event_of
from gates.models import Release
from gates.release_evidence import policy_of
from routing import observed
from routing.publish import current_settings
from routing.watermark import decided_until


@dataclass(slots=True)
class Watched:
    """`fed_until` is Unix seconds; `stages` counts canary requests by the per cent in force when they were assigned."""

    bank: Bank
    fed_until: float
    last_at: float
    stages: dict[int, int] = field(default_factory=dict)
    blind: int = 0
    blind_since: datetime | None = None
    candidate_out: int = 0
    clear_polls: int = 0


class Unreadable(Exception):
    """No gateway says what is decided."""


class Watches:
    """By release. What is over is forgotten."""

    def __init__(self) -> None:
        self._all: dict[int, Watched] = {}

    def of(self, release: Release, began: datetime) -> Watched:
        """`began` is when its first weight was written."""
        if release.pk not in self._all:
            start = began.timestamp()
            self._all[release.pk] = Watched(Bank(policy_of(release).detectors), start, start)
        return self._all[release.pk]

    def keep(self, numbers: set[int]) -> None:
        self._all = {number: watched for number, watched in self._all.items() if number in numbers}


def feed(release: Release, watched: Watched, now: datetime) -> None:
    """Everything that is decided since the last look. Raises Unreadable, DatabaseError."""
    until = decided_until(release.route, now, e2e_limit=current_settings().e2e_limit)
    if until is None:
        raise Unreadable("no gateway reports")
    if until <= watched.fed_until:
        return
    for body in observed.outcomes(release.route, watched.fed_until, until):
        watched.last_at = max(watched.last_at, float(body["assigned_at"]))
        event = _event(body, release.candidate)
        if event is None:
            continue
        watched.bank.see(event)
        if event.canary:
            per_cent = round(100 * event.share)
            watched.stages[per_cent] = watched.stages.get(per_cent, 0) + 1
    watched.fed_until = until


def recorded(release: Release, began: datetime, ended: datetime) -> list[Event]:
    """What the detectors of a release were fed, as far as its outcomes are still kept."""
    bodies = observed.outcomes(release.route, began.timestamp(), ended.timestamp())
    return [event for body in bodies if (event := _event(body, release.candidate)) is not None]


def _event(body: Mapping[str, Any], candidate: str) -> Event | None:
    share = _share(body, candidate)
    return None if share is None or not observed.is_split(body) else event_of(body, share)


def _share(body: Mapping[str, Any], candidate: str) -> float | None:
    """The canary's weight as the gateway saw it; None where it had none."""
    for entry in body["decision"].get("candidates", ()):
        if entry["engine"] == candidate and entry["weight"] > 0:
            return float(entry["weight"]) / 100
    return None
