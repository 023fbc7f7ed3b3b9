"""What the requests of a route show of its split: outcomes in the order of assignment, and the share of an arm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from routing.decision import Rule
from routing.models import OutcomeRecord
from routing.outcomes import Source


@dataclass(frozen=True, slots=True)
class Share:
    """Client requests of a stretch that the split assigned, and those of them that went to one arm."""

    assigned: int
    arm: int

    @property
    def ratio(self) -> float | None:
        return self.arm / self.assigned if self.assigned else None


def outcomes(route: str, after: float, until: float) -> Iterator[Mapping[str, Any]]:
    """Bodies of client outcomes assigned in (after, until], oldest first. Unix seconds."""
    rows = OutcomeRecord.objects.filter(
        route=route, source=Source.CLIENT, assigned_at__gt=_at(after), assigned_at__lte=_at(until)
    )
    yield from rows.order_by("assigned_at", "pk").values_list("body", flat=True).iterator()


def share(route: str, arm: str, since: float, until: float) -> Share:
    """Requests that the split assigned in (since, until]. Unix seconds."""
    arms = [body["arm"] for body in outcomes(route, since, until) if is_split(body)]
    return Share(len(arms), sum(name == arm for name in arms))


def is_split(body: Mapping[str, Any]) -> bool:
    """The split took part: not asked for by name, not preferred by a rule."""
    return body["arm"] is not None and body["rule"] not in {Rule.EXPLICIT, Rule.LONG_INPUT, Rule.BIG_MODEL}


def reached(route: str, engine: str, since: float, until: float) -> int:
    """Client requests assigned in (since, until] (Unix seconds) whose first attempt ran on `engine` unasked."""
    found = outcomes(route, since, until)
    return sum(
        bool(body["attempts"]) and body["attempts"][0]["engine"] == engine and body["rule"] != Rule.EXPLICIT
        for body in found
    )


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
