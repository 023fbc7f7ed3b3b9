"""One look at a release: rows, reports and detectors become the values that the decision is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError

from engines.models import Replica
from gates import release_evidence as evidence
from gates.approvals import open_approval
from gates.models import Release, ReleaseTransition
from gates.release_actions import cooling_until
from gates.release_journal import owner_of
from gates.release_view import Gate, View
from gates.release_watch import Unreadable, Watched, Watches, feed
from gates.releases import Cause, Pause, State
from routing import observed
from routing.models import GatewayReport, HealthHead, Route
from routing.publish import members_from_json
from routing.reports import live_reports
from routing.shares import weight_of

BINDING = frozenset({State.GATING, State.AWAITING_APPROVAL, State.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The view, and what the page shows beside it. `watched` is None while no weight was ever written."""

    view: View
    watched: Watched | None
    route: Route | None
    facts: dict[str, Any]


def look(release: Release, watches: Watches, now: datetime) -> Look:
    """Raises DatabaseError only where the release's own rows cannot be read."""
    route = Route.objects.filter(name=release.route).first()
    reports = live_reports(now)
    began = first_shift(release)
    watched = watches.of(release, began) if began else None
    traffic = _traffic(release, watched, reports, now) if watched else {}
    facts = {**release.observed, **traffic, "at": now.isoformat()}
    view = View(
        state=State(release.state),
        stage=release.stage,
        target=release.target,
        pause=Pause(release.pause) if release.pause else None,
        resume_to=State(release.resume_to) if release.resume_to else None,
        cause=Cause(release.cause) if release.cause else None,
        in_state=(now - release.state_since).total_seconds(),
        in_stage=(now - release.stage_since).total_seconds() if release.stage_since else 0.0,
        **_gate(release),
        **_bound(release, now),
        **_route(release, route, reports, now),
        **_seen(release, watched, traffic, now),
    )
    return Look(view=view, watched=watched, route=route, facts=facts)


def first_shift(release: Release) -> datetime | None:
    """When its first weight was written."""
    row = ReleaseTransition.objects.filter(release=release, after=State.SHIFTING).order_by("pk").first()
    return row.at if row else None


def _gate(release: Release) -> dict[str, Any]:
    run = release.gate_run
    if run is None or not evidence.is_over(run):
        return {}
    gate = Gate.PASSED if evidence.passed(run) else Gate.NOT_PASSED
    return {
        "gate": gate,
        "gate_words": evidence.gate_words(run),
        "weak": evidence.is_weak(run),
        "waived": bool(release.waiver),
    }


def _bound(release: Release, now: datetime) -> dict[str, Any]:
    if release.state not in BINDING:
        return {}
    if release.state == State.GATING and not (release.gate_run and evidence.passed(release.gate_run)):
        return {}
    found: dict[str, Any] = {"drift": evidence.drift(release, now)}
    if release.state == State.AWAITING_APPROVAL:
        approval = open_approval(release)
        found["approval_expired"] = approval is None or now >= approval.expires_at
    if release.state == State.APPROVED:
        until = cooling_until(release.candidate_digest, evidence.policy_of(release), but=release.pk)
        found["cooling"] = until is not None and now < until
    return found


def _route(release: Release, route: Route | None, reports: Sequence[GatewayReport], now: datetime) -> dict[str, Any]:
    if route is None:
        return {"weight": 0, "ours": False, "route_free": False}
    owner = owner_of(release)
    ours = release.epoch is None or (route.owner == owner and route.epoch == release.epoch)
    trips = [
        trip
        for report in reports
        for trip in report.body.get("trips", ())
        if (trip["route"], trip["owner"], trip["epoch"]) == (route.name, owner, route.epoch)
    ]
    table = release.observed.get("table")
    known = [report for report in reports if table is not None and report.table_version >= table]
    return {
        "weight": weight_of(members_from_json(route.current().members), release.candidate),
        "ours": ours or release.state == State.ROLLING_BACK,
        "route_free": route.owner in {"", owner},
        "tripped": trips[0]["reason"] if trips else "",
        "acknowledged": bool(reports) and len(known) == len(reports),
        "lease_age": _lease_age(route, owner, now),
    }


def _lease_age(route: Route, owner: str, now: datetime) -> float | None:
    """Seconds since somebody last said that the route is watched; None where nobody ever did."""
    if route.owner != owner:
        return None
    head = HealthHead.objects.filter(pk=1).first()
    stamp = head.body.get("leases", {}).get(route.name) if head else None
    return None if stamp is None else max(0.0, now.timestamp() - stamp)


def _traffic(release: Release, watched: Watched, reports: Sequence[GatewayReport], now: datetime) -> dict[str, Any]:
    """Feeds the detectors. A failure to read counts; it never looks like health."""
    try:
        feed(release, watched, now)
        found = _shares(release, watched, reports, now)
    except (Unreadable, DatabaseError) as failure:
        watched.blind += 1
        watched.blind_since = watched.blind_since or now
        return {"unreadable": str(failure)[:200]}
    watched.blind, watched.blind_since = 0, None
    return {**found, "unreadable": "", "detectors": watched.bank.summary()}


def _shares(release: Release, watched: Watched, reports: Sequence[GatewayReport], now: datetime) -> dict[str, Any]:
    since = release.observed.get("acknowledged_at")
    found: dict[str, Any] = {"samples": watched.stages.get(release.stage or release.target, 0)}
    if since is None:
        return found
    if release.state == State.ROLLING_BACK:
        drains = [report.body.get("drains", {}).get(release.route) for report in reports]
        sums = {key: sum(drain[key] for drain in drains if drain) for key in ("open", "finished", "cut")}
        reached = observed.reached(release.route, release.candidate, since, now.timestamp())
        return {**found, "reached": reached, "streams": sums}
    share = observed.share(release.route, release.candidate, since, watched.fed_until)
    return {**found, "assigned": share.assigned, "on_canary": share.arm}


def _seen(release: Release, watched: Watched | None, traffic: dict[str, Any], now: datetime) -> dict[str, Any]:
    candidate_out = not Replica.objects.filter(engine__name=release.candidate, in_rotation=True).exists()
    baseline_out = not Replica.objects.filter(engine__name=release.baseline, in_rotation=True).exists()
    if watched is None:
        return {"baseline_out": baseline_out}
    watched.candidate_out = watched.candidate_out + 1 if candidate_out else 0
    blind_for = (now - watched.blind_since).total_seconds() if watched.blind_since else 0.0
    return {
        "candidate_out": watched.candidate_out,
        "baseline_out": baseline_out,
        "blind": watched.blind,
        "blind_for": blind_for,
        "idle_for": max(0.0, now.timestamp() - watched.last_at),
        "assigned": traffic.get("assigned", 0),
        "on_canary": traffic.get("on_canary", 0),
        "samples": traffic.get("samples", 0),
        "alarm": watched.bank.alarm(),
        "reached": traffic.get("reached"),
        "streams_open": traffic.get("streams", {}).get("open", 0),
        "clear_polls": watched.clear_polls,
    }
