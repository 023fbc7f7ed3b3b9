"""The state of everything in one sentence, the title of the tab, and the one incident worth a line. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.numbers import duration
from console.pages.states import Word

TROUBLE = (Word.UNREACHABLE, Word.OUT, Word.DEGRADED)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNow:
    """`since` is when the present trouble began; `shares` are (route, weight in per cent), `standby_of` routes."""

    name: str
    word: Word
    since: datetime | None = None
    shares: tuple[tuple[str, int], ...] = ()
    standby_of: tuple[str, ...] = ()
    canary_of: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Burning:
    route: str
    objective: str
    times: float
    word: str

    @property
    def name(self) -> str:
        """To start a sentence with."""
        return self.objective[:1].upper() + self.objective[1:]


@dataclass(frozen=True, slots=True)
class Phrase:
    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """Worst current fact, what still works, and the page that helps (a URL name of the console)."""

    state: str
    text: str
    still_works: str
    page: str
    action: str


def sentence(
    engines: Sequence[EngineNow], burning: Sequence[Burning], *, measured: bool, last_known: bool, now: datetime
) -> list[Phrase]:
    """`measured` is False when no client request came in the last minutes: then nothing is said to be fine."""
    if not engines:
        return [Phrase("No engine is registered yet.", strong=True)]
    used = [engine for engine in engines if engine.word is not Word.DISABLED]
    healthy = sum(engine.word is Word.HEALTHY for engine in used)
    noun = "engine" if len(used) == 1 else "engines"
    phrases = [Phrase("Last known: ")] if last_known else []
    phrases.append(Phrase(f"{healthy} of {len(used)} {noun} healthy", strong=True))
    for engine in _worst_first(used):
        phrases.append(Phrase(f"; {engine.name} {engine.word.lower()}{_since(engine.since, now)}"))
    phrases.append(Phrase(". "))
    for engine in used:
        for route, weight in engine.canary_of:
            phrases += [Phrase(f"Canary {engine.name} holds {weight} %", strong=True), Phrase(f" of {route}. ")]
    return phrases + _burning(burning, measured=measured)


def plain(phrases: Sequence[Phrase]) -> str:
    return "".join(phrase.text for phrase in phrases).strip()


def title(engines: Sequence[EngineNow]) -> str:
    """The tab: the worst state and how many are in it."""
    if not engines:
        return "No engine yet"
    for word in TROUBLE:
        count = sum(engine.word is word for engine in engines)
        if count:
            return f"{count} {word.lower()}"
    healthy = sum(engine.word is Word.HEALTHY for engine in engines)
    return f"{healthy} healthy" if healthy else "No engine in rotation"


def incident(
    engines: Sequence[EngineNow],
    burning: Sequence[Burning],
    *,
    probes_stale_since: datetime | None,
    gateways_silent_since: datetime | None,
    now: datetime,
) -> Incident | None:
    """The first that applies, worst first; None when there is nothing to do at once."""
    for engine in _worst_first(engines):
        carried = [f"{weight} % of {route}" for route, weight in engine.shares if weight]
        if engine.word is not Word.DEGRADED and carried:
            text = f"{engine.name} is {engine.word.lower()}{_since(engine.since, now)} and holds {', '.join(carried)}."
            return Incident("fail", text, _cover(engine, engines), "console:traffic", "Change traffic")
    if gateways_silent_since is not None:
        text = f"No gateway has reported for {duration(now - gateways_silent_since)}."
        return Incident("fail", text, "Figures and acknowledgements are last known.", "console:traffic", "Traffic")
    if probes_stale_since is not None:
        text = f"No engine was probed for {duration(now - probes_stale_since)}: is the controller running?"
        still = "Traffic goes on with the last known health."
        return Incident("warn", text, still, "console:engines", "Engines")
    for row in burning:
        if row.word == "page":
            text = f"{row.name} of {row.route} burns its error budget {row.times:.0f}×."
            return Incident("fail", text, "Requests are still served.", "console:traffic", "Change traffic")
    return None


def _worst_first(engines: Sequence[EngineNow]) -> list[EngineNow]:
    troubled = [engine for engine in engines if engine.word in TROUBLE]
    return sorted(troubled, key=lambda engine: (TROUBLE.index(engine.word), engine.name))


def _since(since: datetime | None, now: datetime) -> str:
    if since is None:
        return ""
    return f" since {since:%H:%M:%S} UTC ({duration(max(now - since, timedelta()))})"


def _cover(lost: EngineNow, engines: Sequence[EngineNow]) -> str:
    """Which engines of the same routes can take what the lost one held."""
    routes = {route for route, weight in lost.shares if weight}
    able = sorted(
        engine.name
        for engine in engines
        if engine.name != lost.name
        and engine.word in (Word.HEALTHY, Word.DEGRADED)
        and not engine.canary_of
        and routes & {*engine.standby_of, *(route for route, weight in engine.shares if weight)}
    )
    if able:
        return f"{' and '.join(able)} can answer instead while the gateways go round it."
    return "No other engine of the route is in rotation: requests may fail."


def _burning(burning: Sequence[Burning], *, measured: bool) -> list[Phrase]:
    if not measured:
        return [Phrase("No client request in the last 5 min.")]
    if not burning:
        return [Phrase("No objective is burning.")]
    worst = max(burning, key=lambda row: row.times)
    return [
        Phrase(f"{worst.name} of {worst.route} burns {worst.times:.1f}×", strong=True),
        Phrase(" its budget."),
    ]
