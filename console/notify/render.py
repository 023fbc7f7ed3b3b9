"""What happened, in words: title, text and facts of a message, from the fields that every audit row has. Pure."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

PLACES = {"release": "releases", "approval": "approvals", "gate": "gates", "engine": "engines", "route": "traffic"}
SHOWN = ("route", "candidate", "stage", "target", "cause", "pause", "state", "release")
# An emergency: every channel hears of it, whatever else it asked for.
TO_ALL = frozenset({"approval.break_glass"})


def wanted(patterns: Sequence[str], action: str) -> bool:
    return action in TO_ALL or any(fnmatchcase(action, pattern) for pattern in patterns)


def title(action: str, subject: str) -> str:
    """“Release 31: rolled back”."""
    kind, _, name = subject.partition(":")
    what = action.partition(".")[2].replace("_", " ")
    return f"{kind.capitalize()} {name}: {what}"


def text(*, actor: str, reason: str, after: Mapping[str, Any], address: str) -> str:
    """Of `after` only single values are told: what holds many is for the page."""
    told = [(name, after.get(name)) for name in SHOWN]
    facts = ", ".join(f"{name} {value}" for name, value in told if isinstance(value, str | int | float) and value != "")
    parts = [part for part in (reason, facts, f"By {actor}." if actor else "", address) if part]
    return "\n".join(parts)


def address(base: str, subject: str) -> str:
    """Where the console shows it."""
    kind, _, name = subject.partition(":")
    place = PLACES.get(kind)
    return f"{base}/{place}/{name}/" if place and name else f"{base}/audit/?subject={subject}"
