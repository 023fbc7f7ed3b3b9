"""One card per engine: its state, the input that costs most, its share, and figures of the last minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from console.pages.engine_health import NAMES
from console.pages.states import HEALTHY_FROM, EngineState, ReplicaSeen, Word, engine_state
from console.pages.summary import TROUBLE, EngineNow
from engines.models import Engine, HealthSample, Replica
from routing import windows
from routing.models import Bucket, RouteRevision
from routing.outcomes import Source
from routing.table import Role
from routing.windows import Figures

# An engine's own figures count all that people and gates ask of it; objectives count clients only.
SOURCES = (Source.CLIENT, Source.PLAYGROUND, Source.GATE)
LATELY = timedelta(minutes=5)
SPARK = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Share:
    """An engine's place in a route; `weight` only where the role is split."""

    route: str
    role: str
    weight: int
    canary: bool

    @property
    def text(self) -> str:
        return f"{self.weight} %" if self.role == Role.SPLIT else self.role


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    engine: Engine
    state: EngineState
    score: float | None
    worst: tuple[str, float] | None
    shares: tuple[Share, ...]
    figures: Figures
    spark: tuple[float | None, ...]
    probed_at: datetime | None
    since: datetime | None

    @property
    def share_text(self) -> str:
        return " · ".join(share.text for share in self.shares[:2]) or "—"

    @property
    def chip(self) -> tuple[str, str]:
        """Tone and word of the status; what nobody has looked at lately is not called healthy."""
        known = self.state.word in (Word.DISABLED, Word.DRAINING)
        return ("idle", "Stale") if self.state.stale and not known else (self.state.tone, self.state.word)

    @property
    def requests_per_second(self) -> float | None:
        return self.figures.requests_per_second if self.figures.total else None

    @property
    def now(self) -> EngineNow:
        split = tuple((share.route, share.weight) for share in self.shares if share.role == Role.SPLIT)
        canary = tuple((share.route, share.weight) for share in self.shares if share.canary and share.weight)
        return EngineNow(
            name=self.engine.name,
            word=self.state.word,
            since=self.since,
            shares=split,
            standby_of=tuple(share.route for share in self.shares if share.role == Role.STANDBY),
            canary_of=canary,
        )


def cards(now: datetime) -> list[Card]:
    engines = list(Engine.objects.with_replicas().order_by("name"))
    until = windows.floor(now)
    rows = windows.buckets(min(until - SPARK, now - LATELY), now, sources=SOURCES)
    by_engine: dict[str, list[Bucket]] = {}
    for row in rows:
        by_engine.setdefault(row.engine, []).append(row)
    places = shares()
    return [_card(engine, by_engine.get(engine.name, []), places.get(engine.name, ()), now) for engine in engines]


def shares() -> dict[str, tuple[Share, ...]]:
    """Engine name → its places in the routes, by route name."""
    found: dict[str, tuple[Share, ...]] = {}
    in_force = RouteRevision.objects.filter(number=F("route__revision")).select_related("route")
    for revision in in_force.order_by("route__name"):
        for member in revision.members:
            share = Share(revision.route.name, member["role"], int(member["weight"]), bool(member.get("canary")))
            if share.role != Role.OUT:
                found[member["engine"]] = (*found.get(member["engine"], ()), share)
    return found


def seen(replica: Replica) -> ReplicaSeen:
    """A probe that was good set `last_good_at` to its own moment."""
    probed, good = replica.probed_at, replica.last_good_at
    return ReplicaSeen(
        score=replica.score,
        in_rotation=replica.in_rotation,
        probed_at=probed,
        answered=probed is not None and good is not None and good >= probed,
    )


def worst_input(health: Mapping[str, Any]) -> tuple[str, float] | None:
    """Name of the input that costs most and what it costs; None when nothing is lost or nothing is known."""
    rows = [row for row in health.get("rows") or () if (row.get("points_lost") or 0) > 0]
    if not rows:
        return None
    row = max(rows, key=lambda row: row["points_lost"])
    return NAMES.get(row["name"], row["name"]), float(row["points_lost"])


def _card(engine: Engine, rows: Sequence[Bucket], places: tuple[Share, ...], now: datetime) -> Card:
    replicas = sorted(engine.replicas.all(), key=lambda replica: (replica.score is None, replica.score or 0))
    state = engine_state(declared=engine.state, replicas=[seen(replica) for replica in replicas], now=now)
    weakest = replicas[0] if replicas else None
    until = windows.floor(now)
    lately = [row for row in rows if row.start >= now - LATELY]
    return Card(
        engine=engine,
        state=state,
        score=weakest.score if weakest else None,
        worst=worst_input(weakest.health) if weakest else None,
        shares=places,
        figures=windows.merge(lately, start=now - LATELY, seconds=LATELY.total_seconds()),
        spark=tuple(window.ttft_p95() for window in windows.series(rows, until - SPARK, until)),
        probed_at=max((replica.probed_at for replica in replicas if replica.probed_at), default=None),
        since=trouble_since(engine, state.word),
    )


def trouble_since(engine: Engine, word: Word) -> datetime | None:
    """The first probe after the last one that found the engine better than `word`; None without trouble."""
    if word not in TROUBLE:
        return None
    samples = HealthSample.objects.filter(replica__engine=engine).order_by("at")
    better = samples.filter(in_rotation=True)
    if word is Word.DEGRADED:
        better = better.filter(score__gte=HEALTHY_FROM)
    last = better.last()
    first = (samples.filter(at__gt=last.at) if last else samples).first()
    return first.at if first else None


def stale_since(found: Sequence[Card]) -> datetime | None:
    """When the probes stopped, if all of them did."""
    probed = [card for card in found if card.probed_at is not None and card.state.word is not Word.UNPROBED]
    if not probed or not all(card.state.stale for card in probed):
        return None
    return max(card.probed_at for card in probed if card.probed_at)
