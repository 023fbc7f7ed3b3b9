"""What a route was asked to do, who acknowledged it and what was observed: figures of the traffic page."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from engines.models import Engine
from routing import windows
from routing.models import Bucket, Route, RouteRevision, TableRevision
from routing.publish import members_from_json
from routing.reports import live_reports
from routing.table import Member, Role
from routing.windows import Figures

CONFIRM_WITHIN = timedelta(seconds=15)
OBSERVED_OVER = timedelta(seconds=60)
# Fewer requests than this say nothing about a share.
ENOUGH = 30


class Convergence(StrEnum):
    """How the observed share of an engine stands to the requested one."""

    CONVERGED = "converged"
    DRIFTING = "not yet converged"
    DIVERTED = "diverted"  # assigned as requested, but another engine answered
    WAITING = "too few requests"
    NONE = "no requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    """`observed` is the engine's share, 0 to 1, of the `n` that the split assigned; None where it assigned none.

    `figures` hold all that the engine answered, also what x-engine or a rule sent there.
    """

    engine: Engine
    member: Member
    observed: float | None
    n: int
    figures: Figures
    convergence: Convergence
    can_lower: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Gateways that route by the revision, of those that reported in the last 10 s."""

    done: int
    reporting: int

    @property
    def complete(self) -> bool:
        return self.reporting > 0 and self.done == self.reporting


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    revision: RouteRevision
    rows: Sequence[ShareRow]
    acknowledged: Acknowledged
    late: bool
    total: int
    beside: int
    seconds: float
    as_of: datetime

    @property
    def requests_per_second(self) -> float | None:
        return (self.total + self.beside) / self.seconds if self.total + self.beside else None

    @property
    def observed(self) -> bool:
        """Every engine of the split is seen at its share, with enough requests to say so."""
        split = [row for row in self.rows if row.member.role is Role.SPLIT]
        return all(row.convergence is Convergence.CONVERGED for row in split)

    @property
    def diverted(self) -> bool:
        return any(row.convergence is Convergence.DIVERTED for row in self.rows)

    @property
    def settling(self) -> bool:
        """Just changed: worth another look in a second."""
        return not self.acknowledged.complete and not self.late

    @property
    def tolerance(self) -> float | None:
        """The widest band in points inside which a share of this many requests counts as converged."""
        shares = [row.member.weight for row in self.rows if row.member.role is Role.SPLIT]
        return max((band(share, self.total) for share in shares), default=None) if self.total else None


def takers(members: Iterable[Member], engine: str) -> list[Member]:
    """Who may take the share of `engine` by one click. A canary never: raising it needs a diff and a reason."""
    return [
        member
        for member in members
        if member.role is Role.SPLIT and member.weight and not member.canary and member.engine != engine
    ]


def band(share: float, n: int) -> float:
    """Points around `share` per cent: 3 standard deviations of a sample of n, at least 2."""
    ratio = share / 100
    return max(2.0, 300 * math.sqrt(ratio * (1 - ratio) / n))


def convergence(requested: float, assigned: int, answered: int, total: int) -> Convergence:
    if total == 0:
        return Convergence.NONE
    if total < ENOUGH:
        return Convergence.WAITING
    tolerance = band(requested, total)
    if abs(100 * answered / total - requested) <= tolerance:
        return Convergence.CONVERGED
    if abs(100 * assigned / total - requested) <= tolerance:
        return Convergence.DIVERTED
    return Convergence.DRIFTING


def acknowledged(version: int, reports: Iterable[int]) -> Acknowledged:
    """`reports` are the table versions of the gateways that reported lately."""
    versions = list(reports)
    return Acknowledged(sum(seen >= version for seen in versions), len(versions))


def carrying_version(revision: RouteRevision) -> int:
    """The first table that carries the revision; tables older than those kept carry it too."""
    since = TableRevision.objects.filter(at__gte=revision.at).order_by("version")
    for table in since[:10]:
        entry = table.body["routes"].get(revision.route.name)
        if entry is not None and entry["revision"] >= revision.number:
            return table.version
    newest = TableRevision.objects.order_by("-version").first()
    return newest.version if newest else 0


def truth(route: Route, *, now: datetime) -> Truth:
    revision = route.current()
    since = max(now - OBSERVED_OVER, revision.at)
    rows = windows.buckets(since, now, route=route.name)
    reports = [report.table_version for report in live_reports(now)]
    seen = acknowledged(carrying_version(revision), reports)
    seconds = max((now - since).total_seconds(), 1.0)
    return Truth(
        revision=revision,
        rows=_rows(members_from_json(revision.members), rows, since=since, seconds=seconds),
        acknowledged=seen,
        late=not seen.complete and now - revision.at > CONFIRM_WITHIN,
        total=sum(bucket.total for bucket in rows if bucket.arm),
        beside=sum(bucket.total for bucket in rows if not bucket.arm and bucket.engine),
        seconds=seconds,
        as_of=now,
    )


def _rows(members: Sequence[Member], buckets: Sequence[Bucket], *, since: datetime, seconds: float) -> list[ShareRow]:
    engines: Mapping[str, Engine] = {
        engine.name: engine for engine in Engine.objects.filter(name__in=[member.engine for member in members])
    }
    total = sum(bucket.total for bucket in buckets if bucket.arm)
    assigned = {
        member.engine: sum(bucket.total for bucket in buckets if bucket.arm == member.engine) for member in members
    }
    shares = []
    for member in members:
        if member.engine not in engines:
            continue
        own = [bucket for bucket in buckets if bucket.engine == member.engine]
        figures = windows.merge(own, start=since, seconds=seconds)
        answered = sum(bucket.total for bucket in own if bucket.arm)
        shares.append(
            ShareRow(
                engine=engines[member.engine],
                member=member,
                observed=answered / total if total else None,
                n=answered,
                figures=figures,
                convergence=convergence(member.weight, assigned[member.engine], answered, total),
                can_lower=bool(member.weight and takers(members, member.engine)),
            )
        )
    return shares
