"""How much of its prompts an engine found in its prefix cache: readings of two counters kept from probe to probe. Pure.

A reading is (Unix seconds, found, looked up), both counted since the process started, in the engine's tokens or blocks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WINDOW_SECONDS = 300.0
SPACING_SECONDS = 30.0  # closer readings replace one another, but for the newest
STALE_SECONDS = 60.0

Reading = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Hits:
    """Sums over replicas. `share` is None where nothing was looked up."""

    found: float
    looked_up: float

    @property
    def share(self) -> float | None:
        return self.found / self.looked_up if self.looked_up else None


def keep(readings: Sequence[Reading], at: float, found: float | None, looked_up: float | None) -> list[Reading]:
    """The readings with this one, oldest first. An engine that tells nothing this time loses none of them."""
    if found is None or looked_up is None:
        return list(readings)
    kept = list(readings)
    if kept and (looked_up < kept[-1][2] or found < kept[-1][1]):
        kept = []  # another process
    if len(kept) > 1 and kept[-1][0] - kept[-2][0] < SPACING_SECONDS:
        kept.pop()
    while len(kept) > 1 and kept[1][0] <= at - WINDOW_SECONDS:
        kept.pop(0)
    return [*kept, (at, found, looked_up)]


def recent(replicas: Iterable[Sequence[Reading]], now: float) -> Hits | None:
    """Over about the last WINDOW_SECONDS; None where no replica tells."""
    told = [readings for readings in replicas if readings and now - readings[-1][0] <= STALE_SECONDS]
    if not told:
        return None
    return Hits(
        sum(readings[-1][1] - readings[0][1] for readings in told),
        sum(readings[-1][2] - readings[0][2] for readings in told),
    )


def since_start(replicas: Iterable[Sequence[Reading]]) -> Hits | None:
    """All that the processes counted, as of their last readings; None where no replica ever told."""
    last = [readings[-1] for readings in replicas if readings]
    return Hits(sum(row[1] for row in last), sum(row[2] for row in last)) if last else None


def readings_from_json(rows: Any) -> list[Reading]:
    return [(float(at), float(found), float(looked_up)) for at, found, looked_up in rows or ()]
