"""What every change of a route writes: a revision row, the new table, the signal that audits it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from engines.actors import Actor
from routing.models import Route, RouteRevision
from routing.publish import publish
from routing.signals import changed
from routing.table import Member, Role


def write(
    route: Route,
    number: int,
    members: Sequence[Member],
    *,
    actor: Actor,
    reason: str,
    restores: int | None = None,
) -> RouteRevision:
    return RouteRevision.objects.create(
        route=route,
        number=number,
        members=[asdict(member) for member in members],
        reason=reason[:500],
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        restores=restores,
        at=timezone.now(),
    )


def announce(
    action: str, route: Route, *, actor: Actor, reason: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    publish(action)
    changed.send(
        Route,
        action=action,
        subject=f"route:{route.name}",
        actor=actor,
        reason=reason[:500],
        before=before,
        after=after,
    )


def in_words(members: Sequence[Member]) -> dict[str, Any]:
    """A split as the audit keeps it."""
    shares = {
        member.engine: f"{member.weight} %" if member.role is Role.SPLIT else str(member.role) for member in members
    }
    canaries = ", ".join(member.engine for member in members if member.canary)
    return {**shares, "canary mark": canaries} if canaries else shares  # a blank: no engine can have this name
