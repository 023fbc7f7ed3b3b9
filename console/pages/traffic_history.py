"""Revisions of a route as its page lists them, and the one that a single click goes back to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engines.models import Engine
from routing.models import Route, RouteRevision
from routing.publish import members_from_json
from routing.table import Member

PAGE = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """One engine in one revision: what it was given, and what it had in the revision before."""

    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Line:
    revision: RouteRevision
    cells: Sequence[Cell]
    in_force: bool
    missing: Sequence[str]

    @property
    def restorable(self) -> bool:
        return not self.in_force and not self.missing


@dataclass(frozen=True, slots=True)
class History:
    engines: Sequence[str]
    lines: Sequence[Line]
    older: int | None


def history(route: Route, *, before: int | None = None) -> History:
    """The newest PAGE revisions under `before`; `older` starts the next page."""
    found = route.revisions.order_by("-number")
    if before is not None:
        found = found.filter(number__lt=before)
    revisions = list(found[: PAGE + 1])
    known = set(Engine.objects.values_list("name", flat=True))
    members = [members_from_json(revision.members) for revision in revisions]
    engines = list(dict.fromkeys(member.engine for row in members for member in row))
    lines = [
        _line(revision, own, members[place + 1 : place + 2], engines, known=known, now=route.revision)
        for place, (revision, own) in enumerate(zip(revisions, members, strict=True))
    ]
    older = revisions[PAGE - 1].number if len(revisions) > PAGE else None
    return History(engines, lines[:PAGE], older)


def _line(
    revision: RouteRevision,
    members: Sequence[Member],
    previous: Sequence[Sequence[Member]],
    engines: Sequence[str],
    *,
    known: Collection[str],
    now: int,
) -> Line:
    after = _places(members)
    before = _places(previous[0]) if previous else after
    cells = [Cell(before.get(name, "—"), after.get(name, "—")) for name in engines]
    missing = sorted(member.engine for member in members if member.engine not in known)
    return Line(revision, cells, revision.number == now, missing)


def _places(members: Sequence[Member]) -> Mapping[str, str]:
    return {member.engine: f"{member.weight} %" if member.role == "split" else member.role.value for member in members}


def way_back(route: Route) -> RouteRevision | None:
    """The newest earlier revision that is another split than the one in force."""
    current = route.current()
    earlier = route.revisions.filter(number__lt=current.number).order_by("-number")[:PAGE]
    return next((revision for revision in earlier if revision.members != current.members), None)
