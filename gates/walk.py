"""The controller's walk: looks at every release that is not over, decides, takes the step, renews the leases.

Level-triggered and idempotent: whatever a crash leaves, the next look goes on from the rows.
"""

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError

from gates import release_journal as journal
from gates.models import DetectorPoint, Release
from gates.release_decisions import decide
from gates.release_evidence import policy_of
from gates.release_journal import Moved
from gates.release_look import Look, look
from gates.release_steps import take
from gates.release_watch import Watches
from gates.releases import WALKING, State
from routing.lease import LEASE_SECONDS
from routing.publish import renew_leases

log = logging.getLogger(__name__)

POINT_EVERY = timedelta(seconds=10)


class Walk:
    """One per controller process."""

    def __init__(self) -> None:
        self._watches = Watches()

    def tick(self, now: datetime) -> None:
        """Raises DatabaseError when the list of releases cannot be read; the leases then run out by themselves."""
        active = list(Release.objects.active().select_related("policy", "gate_run").order_by("pk"))
        self._watches.keep({release.pk for release in active})
        watched_routes = []
        for release in active:
            try:
                if self._step(release, now):
                    watched_routes.append(release.route)
            except Moved as moved:
                log.info("Release %s moved while it was looked at: %s", release.pk, moved)
            except DatabaseError:
                log.exception("Release %s could not be looked at; trying again.", release.pk)
        if watched_routes:
            renew_leases(watched_routes, now)

    def _step(self, release: Release, now: datetime) -> bool:
        """True when the canary's weight is watched: its lease may be renewed."""
        seen = look(release, self._watches, now)
        self._count_clear(release, seen)
        step = decide(seen.view, policy_of(release))
        if seen.watched is not None:
            release = _keep(release, seen, now)
        if step is not None:
            release = take(release, step, now)
            log.info("Release %s: %s. %s", release.pk, release.state, step.reason)
        return _is_watched(release, seen)

    def _count_clear(self, release: Release, seen: Look) -> None:
        if seen.watched is None or release.state != State.ROLLING_BACK:
            return
        clear = seen.view.acknowledged and seen.view.reached == 0
        seen.watched.clear_polls = seen.watched.clear_polls + 1 if clear else 0


def _is_watched(release: Release, seen: Look) -> bool:
    """A controller that was away, or blind, for a whole lease must not pretend that it watches."""
    view = seen.view
    away = view.lease_age is not None and view.lease_age >= LEASE_SECONDS
    blind = view.blind_for >= LEASE_SECONDS
    return release.state in WALKING and release.epoch is not None and view.ours and not away and not blind


def _keep(release: Release, seen: Look, now: datetime) -> Release:
    """What the page shows, and a point of the charts each ten seconds."""
    facts = dict(seen.facts)
    if seen.view.acknowledged and facts.get("acknowledged_at") is None:
        facts["acknowledged_at"] = now.timestamp()
    summary = facts.pop("detectors", None)
    changes = {"observed": facts} | ({"detectors": summary} if summary else {})
    release = journal.note(release, **changes)
    last = DetectorPoint.objects.filter(release=release).order_by("-pk").first()
    if summary and (last is None or now - last.at >= POINT_EVERY):
        body = {**summary, "assigned": facts.get("assigned"), "on_canary": facts.get("on_canary")}
        DetectorPoint.objects.create(release=release, at=now, stage=release.stage, body=body)
    return release
