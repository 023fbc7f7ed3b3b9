"""A canary's weight as its release moves it: own the route, shift, zero, finalise, give the route back.

Whoever writes names the owner and the epoch it knows. A change by hand and a roll-back bump the epoch, so what was
decided before them cannot be written after them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F

from engines.actors import Actor
from routing import revisions
from routing.actions import Conflict, check_members, refuse_disabled
from routing.models import Route, RouteRevision
from routing.publish import members_from_json
from routing.shares import has_weight_beside, weight_of, with_canary, without_canary
from routing.table import Member


class NotOwner(Exception):
    """The route belongs to another release, or its weights were moved since: `owner` and `epoch` are those in force."""

    def __init__(self, route: Route) -> None:
        held = route.owner or "nobody"
        super().__init__(f"Route {route.name} belongs to {held} at epoch {route.epoch}.")
        self.owner, self.epoch = route.owner, route.epoch


@transaction.atomic
def own(name: str, owner: str, *, actor: Actor, reason: str) -> Route:
    """Take a route that nobody owns; again by the same owner changes nothing. Raises NotOwner."""
    route = _locked(name)
    if route.owner == owner:
        return route
    if route.owner:
        raise NotOwner(route)
    Route.objects.filter(pk=route.pk).update(owner=owner, epoch=F("epoch") + 1)
    route.refresh_from_db()
    revisions.announce("route.own", route, actor=actor, reason=reason, before={"owner": ""}, after={"owner": owner})
    return route


@transaction.atomic
def shift(
    name: str,
    owner: str,
    *,
    before: Sequence[Member],
    canary: str,
    weight: int,
    expected: int,
    epoch: int,
    actor: Actor,
    reason: str,
) -> RouteRevision:
    """`canary` to `weight` per cent of the split `before`. Raises NotOwner, Conflict, InvalidSplit, ValueError."""
    route = _locked(name)
    if route.owner != owner or route.epoch != epoch:
        raise NotOwner(route)
    if route.revision != expected:
        raise Conflict(route.current())
    members = with_canary(before, canary, weight)
    check_members(members)
    refuse_disabled(members_from_json(route.current().members), members)
    return _write(route, members, action="route.shift", actor=actor, reason=reason)


@transaction.atomic
def zero(
    name: str,
    owner: str,
    *,
    before: Sequence[Member],
    canary: str,
    cut_after: float,
    actor: Actor,
    reason: str,
) -> RouteRevision:
    """Take all weight from `canary`, whatever was written meanwhile; again changes nothing.

    Bumps the epoch, so no shift decided earlier can follow. Streams that still run on it are cut at `cut_after`
    (Unix seconds). Raises NotOwner when another release owns the route.
    """
    route = _locked(name)
    if route.owner not in {owner, ""}:
        raise NotOwner(route)
    current = route.current()
    members = members_from_json(current.members)
    if weight_of(members, canary) == 0:
        return current
    base = members if has_weight_beside(members, canary) else before
    drain = {"engine": canary, "epoch": route.epoch, "cut_after": cut_after}
    Route.objects.filter(pk=route.pk).update(epoch=F("epoch") + 1, drain=drain, shadow={})
    route.refresh_from_db()
    return _write(route, with_canary(base, canary, 0), action="route.zero", actor=actor, reason=reason)


@transaction.atomic
def finalise(name: str, owner: str, *, canary: str, epoch: int, actor: Actor, reason: str) -> RouteRevision:
    """The canary that has everything is the baseline now, the route is nobody's. Raises NotOwner, ValueError."""
    route = _locked(name)
    if route.owner != owner or route.epoch != epoch:
        raise NotOwner(route)
    members = members_from_json(route.current().members)
    if weight_of(members, canary) != 100:
        raise ValueError(f"{canary} does not have all the weight of {name}.")
    Route.objects.filter(pk=route.pk).update(owner="", epoch=F("epoch") + 1)
    route.refresh_from_db()
    return _write(route, without_canary(members, canary), action="route.finalise", actor=actor, reason=reason)


@transaction.atomic
def disown(name: str, owner: str, *, actor: Actor, reason: str) -> None:
    """Give the route back. Nothing happens when it is not the owner's (any more)."""
    route = Route.objects.select_for_update().filter(name=name, owner=owner).first()
    if route is None:
        return
    Route.objects.filter(pk=route.pk).update(owner="", shadow={}, epoch=F("epoch") + 1)
    revisions.announce("route.disown", route, actor=actor, reason=reason, before={"owner": owner}, after={"owner": ""})


@transaction.atomic
def set_shadow(name: str, owner: str, shadow: Mapping[str, Any], *, actor: Actor, reason: str) -> None:
    """`shadow` is {engine, percent} to mirror requests to, or empty to stop. Raises NotOwner."""
    route = _locked(name)
    if route.owner != owner:
        raise NotOwner(route)
    if route.shadow == dict(shadow):
        return
    before = {"shadow": route.shadow}
    Route.objects.filter(pk=route.pk).update(shadow=dict(shadow))
    after = {"shadow": dict(shadow)}
    revisions.announce("route.shadow", route, actor=actor, reason=reason, before=before, after=after)


@transaction.atomic
def govern(name: str, *, governed: bool, actor: Actor, reason: str) -> None:
    """Whether raising a weight by hand needs an approver even while no release runs."""
    route = _locked(name)
    if route.governed == governed:
        return
    Route.objects.filter(pk=route.pk).update(governed=governed)
    before, after = {"governed": route.governed}, {"governed": governed}
    revisions.announce("route.govern", route, actor=actor, reason=reason, before=before, after=after)


def _locked(name: str) -> Route:
    """PostgreSQL locks the row; SQLite's transactions are IMMEDIATE and exclude each other anyway."""
    return Route.objects.select_for_update().get(name=name)


def _write(route: Route, members: Sequence[Member], *, action: str, actor: Actor, reason: str) -> RouteRevision:
    before = members_from_json(route.current().members)
    Route.objects.filter(pk=route.pk).update(revision=F("revision") + 1)
    route.refresh_from_db()
    revision = revisions.write(route, route.revision, members, actor=actor, reason=reason)
    revisions.announce(
        action, route, actor=actor, reason=reason,
        before=revisions.in_words(before), after=revisions.in_words(members),
    )  # fmt: skip
    return revision
