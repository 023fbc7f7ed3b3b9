"""What the pages of engines show: list rows, and one engine with its replicas, features and samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.pages.cards import Card, cards, seen
from console.pages.engine_health import NAMES
from console.pages.states import EngineState, engine_state
from engines.adapters import get_adapter
from engines.client import Feature, Support
from engines.contract import Finding, Outcome, findings_from_json
from engines.contracts import RUN_SECONDS
from engines.models import ContractRun, Engine, HealthSample, Replica
from engines.prefix_hits import Hits, readings_from_json, recent, since_start
from routing import windows
from routing.publish import load_health
from routing.windows import Figures

HISTORY = timedelta(minutes=30)
SAMPLES = 360
LATELY = timedelta(seconds=60)
LATE = timedelta(seconds=RUN_SECONDS + 30)


@dataclass(frozen=True, slots=True)
class Line:
    """One engine of the list: its card and what its replicas said of their queues."""

    card: Card
    hosts: Sequence[str]
    running: int | None
    waiting: int | None
    kv_use: float | None

    @property
    def worst(self) -> str:
        name = self.card.worst[0] if self.card.worst else ""
        return NAMES.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    engine: Engine
    state: EngineState
    replicas: Sequence[Replica]
    hits: Hits | None
    rows: Sequence[tuple[Replica, Hits | None]]
    hits_since_start: Hits | None
    chosen: Replica | None
    features: Sequence[tuple[str, Support]]
    figures: Figures
    as_of: datetime

    @property
    def score(self) -> float | None:
        return self.chosen.score if self.chosen else None

    @property
    def in_rotation(self) -> int:
        return sum(replica.in_rotation for replica in self.replicas)


def lines(now: datetime) -> list[Line]:
    body = load_health(-1) or {"replicas": {}}
    return [_line(card, body["replicas"]) for card in cards(now)]


def _line(card: Card, health: Mapping[str, Mapping[str, Any]]) -> Line:
    replicas = sorted(card.engine.replicas.all(), key=lambda replica: replica.pk)
    told = [health[str(replica.pk)] for replica in replicas if str(replica.pk) in health]
    return Line(
        card=card,
        hosts=[replica.url.partition("://")[2] for replica in replicas],
        running=_sum(row.get("running") for row in told),
        waiting=_sum(row.get("waiting") for row in told),
        kv_use=max((row["kv_use"] for row in told if row.get("kv_use") is not None), default=None),
    )


def _sum(values: Any) -> int | None:
    """None where nobody told: not knowing is not 0."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def detail(engine: Engine, *, replica: int | None, now: datetime) -> Detail:
    """`replica` chooses whose breakdown is shown; without it the weakest."""
    replicas = sorted(engine.replicas.all(), key=lambda row: row.pk)
    weakest = sorted(replicas, key=lambda row: (row.score is None, row.score or 0.0))
    lookups = [readings_from_json(row.health.get("lookups")) for row in replicas]
    chosen = next((row for row in replicas if row.pk == replica), weakest[0] if weakest else None)
    return Detail(
        engine=engine,
        state=engine_state(declared=engine.state, replicas=[seen(row) for row in replicas], now=now),
        replicas=replicas,
        hits=recent(lookups, now.timestamp()),
        hits_since_start=since_start(lookups),
        rows=[(row, recent([readings], now.timestamp())) for row, readings in zip(replicas, lookups, strict=True)],
        chosen=chosen,
        features=features(engine),
        figures=windows.figures(now - LATELY, now, engine=engine.name),
        as_of=now,
    )


def features(engine: Engine) -> list[tuple[str, Support]]:
    adapter = get_adapter(engine.kind)
    return [(feature.value.replace("_", " "), adapter.supports(feature, engine.features)) for feature in Feature]


@dataclass(frozen=True, slots=True)
class ContractView:
    """The last run of the contract: its findings, and how a run that goes on is doing."""

    run: ContractRun
    rows: Sequence[Finding]
    waiting: bool
    late: bool

    @property
    def passed(self) -> int:
        return sum(row.outcome is Outcome.PASS for row in self.rows)

    @property
    def failed(self) -> Sequence[Finding]:
        return [row for row in self.rows if row.outcome is Outcome.FAIL]


def contract_of(engine: Engine, *, now: datetime) -> ContractView | None:
    run = ContractRun.objects.filter(engine=engine).first()
    if run is None:
        return None
    waiting = run.finished_at is None
    return ContractView(run, findings_from_json(run.rows), waiting, waiting and now - run.asked_at > LATE)


def samples(replica: Replica, *, now: datetime) -> list[HealthSample]:
    """Oldest first, of the last half hour."""
    found = replica.samples.filter(at__gte=now - HISTORY).order_by("-at")[:SAMPLES]
    return list(reversed(found))


def score_chart(rows: Sequence[HealthSample], *, now: datetime) -> dict[str, Any]:
    """Points on a 1000 × 96 field, gaps where no probe was made for three intervals; marks of the time axis."""
    start = now - HISTORY
    path, last = [], None
    for row in rows:
        x = 1000 * (row.at - start) / HISTORY
        gap = last is None or row.at - last > timedelta(seconds=20)
        path.append(f"{'M' if gap else 'L'}{x:.1f},{_height(row.score):.1f}")
        last = row.at
    marks = [(f"{25 * step}%", start + HISTORY * step / 4) for step in range(5)]
    return {"path": " ".join(path), "marks": marks, "out": _height(0.7), "samples": len(rows)}


def _height(score: float) -> float:
    return 90 - 80 * max(0.0, min(1.0, score))
