"""Every change to routes, client keys and settings: compare-and-set, revision row, signal, new table."""

import secrets
from collections.abc import Sequence

from django.db import transaction
from django.db.models import F

from engines import actions as engine_actions
from engines.actors import Actor
from engines.models import Engine
from routing import revisions
from routing.models import Route, RouteRevision
from routing.publish import members_from_json, publish
from routing.shares import raised
from routing.signals import changed
from routing.table import Member, Role


class InvalidSplit(ValueError):
    """The members cannot be a route's split; the message says why."""


class Governed(InvalidSplit):
    """Raising a weight here is a release's business, or needs an approver's override."""


class Conflict(Exception):
    """The route moved on since the form was opened. `current` is the revision in force."""

    def __init__(self, current: RouteRevision) -> None:
        super().__init__(f"{current.route.name} is at revision {current.number}")
        self.current = current


class EngineInUse(Exception):
    """Routes that still name the engine."""

    def __init__(self, routes: Sequence[str]) -> None:
        super().__init__(", ".join(routes))
        self.routes = tuple(routes)


@transaction.atomic
def create_route(name: str, members: Sequence[Member], *, actor: Actor, reason: str) -> Route:
    """Raises InvalidSplit, or IntegrityError when the name is taken."""
    check_members(members)
    route = Route.objects.create(name=name, salt=secrets.token_hex(8))
    revisions.write(route, 1, members, actor=actor, reason=reason)
    revisions.announce("route.create", route, actor=actor, reason=reason, before={}, after=revisions.in_words(members))
    return route


@transaction.atomic
def change_split(
    name: str,
    members: Sequence[Member],
    *,
    expected: int,
    actor: Actor,
    reason: str,
    restores: int | None = None,
    override: bool = False,
) -> RouteRevision:
    """Put `members` in force if the route is still at revision `expected`. Raises Conflict, InvalidSplit, Governed.

    Where a release owns the route this moves its epoch on, so that nothing the release decided before is written after.
    """
    route = Route.objects.get(name=name)
    before = route.current() if route.revision == expected else None
    check_members(members)
    if before is not None:
        refuse_disabled(members_from_json(before.members), members)
        override = _refuse_raise(route, members_from_json(before.members), members, override=override)
    moved = Route.objects.filter(pk=route.pk, revision=expected).update(
        revision=expected + 1, epoch=F("epoch") + (1 if route.owner else 0)
    )
    if not moved or before is None:
        route.refresh_from_db()
        raise Conflict(route.current())
    revision = revisions.write(route, expected + 1, members, actor=actor, reason=reason, restores=restores)
    action = "route.restore" if restores is not None else "route.split"
    revisions.announce(
        action,
        route,
        actor=actor,
        reason=reason,
        before=revisions.in_words(members_from_json(before.members)),
        after=revisions.in_words(members) | ({"override of": route.owner or "governed route"} if override else {}),
    )
    return revision


def restore(
    name: str, number: int, *, expected: int, actor: Actor, reason: str, override: bool = False
) -> RouteRevision:
    """Bring back revision `number` as a new revision. Raises as change_split does, and RouteRevision.DoesNotExist."""
    target = RouteRevision.objects.get(route__name=name, number=number)
    members = members_from_json(target.members)
    return change_split(
        name, members, expected=expected, actor=actor, reason=reason, restores=number, override=override
    )


@transaction.atomic
def delete_route(route: Route, *, actor: Actor, reason: str) -> None:
    before = revisions.in_words(members_from_json(route.current().members))
    name = route.name
    route.delete()
    publish("route.delete")
    changed.send(
        Route,
        action="route.delete",
        subject=f"route:{name}",
        actor=actor,
        reason=reason,
        before=before,
        after={},
    )


@transaction.atomic
def remove_engine(engine: Engine, *, actor: Actor, reason: str) -> None:
    """Raises EngineInUse while any route names it."""
    naming = routes_naming(engine.name)
    if naming:
        raise EngineInUse([route for route, _member in naming])
    engine_actions.delete_engine(engine, actor=actor, reason=reason)


@transaction.atomic
def disable_engine(engine: Engine, *, actor: Actor, reason: str) -> Engine:
    """Raises EngineInUse while any route gives it weight: drain it, or move its share first."""
    weighted = [route for route, member in routes_naming(engine.name) if member.weight]
    if weighted:
        raise EngineInUse(weighted)
    return engine_actions.set_state(engine, Engine.State.DISABLED, actor=actor, reason=reason)


def routes_naming(engine: str) -> list[tuple[str, Member]]:
    """The routes whose revision in force names the engine, and its place in each."""
    current = RouteRevision.objects.filter(number=F("route__revision")).select_related("route")
    return [
        (revision.route.name, member)
        for revision in current.order_by("route__name")
        for member in members_from_json(revision.members)
        if member.engine == engine
    ]


def check_members(members: Sequence[Member]) -> None:
    """Raises InvalidSplit with a sentence for the operator."""
    names = [member.engine for member in members]
    if len(set(names)) != len(names):
        raise InvalidSplit("An engine can be in a route only once.")
    unknown = sorted(set(names) - set(Engine.objects.filter(name__in=names).values_list("name", flat=True)))
    if unknown:
        raise InvalidSplit(f"No engine is named {unknown[0]}.")
    split = [member for member in members if member.role is Role.SPLIT]
    if not split:
        raise InvalidSplit("A route needs at least one engine in its split.")
    if any(not 0 <= member.weight <= 100 for member in split):
        raise InvalidSplit("Every weight is a whole number from 0 to 100.")
    total = sum(member.weight for member in split)
    if total != 100:
        raise InvalidSplit(f"The weights add up to {total} %; they must add up to 100 %.")
    if any(member.weight for member in members if member.role is not Role.SPLIT):
        raise InvalidSplit("Only engines in the split carry a weight.")


def refuse_disabled(before: Sequence[Member], members: Sequence[Member]) -> None:
    """A disabled engine may keep or lose weight, never gain it."""
    had = {member.engine: member.weight for member in before}
    raised = [member.engine for member in members if member.weight > had.get(member.engine, 0)]
    disabled = Engine.objects.filter(name__in=raised, state=Engine.State.DISABLED).order_by("name").first()
    if disabled is not None:
        raise InvalidSplit(f"{disabled.name} is disabled. Enable it before it gets traffic.")


def _refuse_raise(route: Route, before: Sequence[Member], members: Sequence[Member], *, override: bool) -> bool:
    """Whether an override was needed. Lowering is always free. Raises Governed."""
    names = raised(before, members) if route.owner or route.governed else []
    if not names or override:
        return bool(names)
    if route.owner:
        raise Governed(f"{names[0]} gets more traffic only by {route.owner.replace(':', ' ')} while that runs.")
    raise Governed(f"{route.name} is a governed route: {names[0]} gets more traffic by a release.")
