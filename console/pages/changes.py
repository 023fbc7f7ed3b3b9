"""Audit rows in words, and the way back where there is one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse

from console.models import AuditEvent
from routing.models import Route

REVISION_ACTIONS = frozenset({"route.create", "route.split", "route.restore"})
ICONS = {
    "release": "stairs",
    "approval": "stamp",
    "route": "traffic",
    "engine": "engines",
    "key": "lock",
    "settings": "sliders",
}
OWN_NAMES = frozenset({"route", "engine"})
SUPPORT = ("yes:", "no:", "unknown:")
GRAVE = {"approval.break_glass": "Glass broken", "release.waive": "Gate waived"}
SAYS_ALL = frozenset({"engine.active", "engine.draining", "engine.disabled"})
VERBS = {
    "route.create": "created",
    "route.delete": "deleted",
    "engine.register": "registered, no traffic yet",
    "engine.edit": "edited",
    "engine.active": "enabled",
    "engine.draining": "drains",
    "engine.disabled": "disabled",
    "engine.delete": "deleted",
    "engine.move": "moved",
    "engine.detect": "probe found",
    "key.create": "created",
    "key.revoke": "revoked",
    "settings.change": "changed",
    "user.create": "created",
    "user.change": "changed",
    "policy.save": "saved",
    "gate.create": "created",
    "gate.cancel": "cancelled",
    "gate.resume": "resumed",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One value before and after, as text; None where it did not exist."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class WayBack:
    """A form that brings an older revision of a route back, if the route is still at `expected`."""

    url: str
    label: str
    number: int
    expected: int
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    event: AuditEvent
    subject: str
    verb: str
    differences: tuple[Difference, ...]
    way_back: WayBack | None = None

    @property
    def icon(self) -> str:
        if self.event.action == "route.restore":
            return "undo"
        return ICONS.get(self.event.subject.partition(":")[0], "history")

    @property
    def grave(self) -> str:
        """What must not be overlooked for ever: an override, a waiver, a broken glass."""
        if "override of" in self.event.after:
            return "Override"
        return GRAVE.get(self.event.action, "")

    @property
    def address(self) -> str:
        """The entry on the audit page."""
        return f"{reverse('console:audit')}?before={self.event.sequence + 1}#e{self.event.sequence}"

    @property
    def all_values(self) -> list[Difference]:
        """Every value of the entry, also those that stayed."""
        before, after = self.event.before, self.event.after
        return [
            Difference(name.replace("_", " "), _text(before.get(name)), _text(after.get(name)))
            for name in dict.fromkeys([*before, *after])
        ]

    @property
    def lead(self) -> str:
        """Who or what, and what happened to it; a colon where only figures follow."""
        words = f"{self.subject} {self.verb}".strip()
        return f"{words}:" if self.differences else words

    @property
    def text(self) -> str:
        """One line without markup."""
        parts = [f"{row.name} {row.old or '—'} → {row.new or '—'}" for row in self.differences[:3]]
        return " ".join(part for part in (self.lead, ", ".join(parts)) if part)


def changes(events: Iterable[AuditEvent]) -> list[Change]:
    """`events` newest first and without holes for any one route, so that revisions can be counted back."""
    rows = list(events)
    names = {row.subject.removeprefix("route:") for row in rows if row.subject.startswith("route:")}
    revisions = dict(Route.objects.filter(name__in=names).values_list("name", "revision"))
    older: dict[str, int] = {}
    found = []
    for row in rows:
        found.append(describe(row, _way_back(row, revisions, older)))
    return found


def describe(event: AuditEvent, way_back: WayBack | None = None) -> Change:
    kind, _, name = event.subject.partition(":")
    subject = name if kind in OWN_NAMES else f"{kind.capitalize()} {name}".strip()
    if kind == "key":
        subject = f"Key {(event.after or event.before).get('name', name)}"
    both = event.before and event.after and event.action not in SAYS_ALL
    shown = differences(event.before, event.after) if both else ()
    verb = VERBS.get(event.action, "" if event.action in REVISION_ACTIONS else event.action)
    return Change(event, subject, verb, tuple(shown), way_back)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Difference]:
    names = list(dict.fromkeys([*before, *after]))
    return [
        Difference(name.replace("_", " "), _text(before.get(name)), _text(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _way_back(event: AuditEvent, revisions: Mapping[str, int], older: dict[str, int]) -> WayBack | None:
    name = event.subject.removeprefix("route:")
    if event.action not in REVISION_ACTIONS or name not in revisions:
        return None
    expected = revisions[name]
    revision = expected - older.get(name, 0)
    older[name] = older.get(name, 0) + 1
    newest = revision == expected
    number = revision - 1 if newest else revision
    if number < 1:
        return None
    try:
        url = reverse("console:traffic-restore", args=[name])
    except NoReverseMatch:  # the traffic page is not part of this build
        return None
    label = "Roll back" if newest else f"Restore {number}"
    reason = f"Roll back revision {revision}" if newest else f"Restore revision {number}"
    return WayBack(url, label, number, expected, f"{reason}, from the overview")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(str(_text(item)) for item in value) or "none"
    text = str(value)
    if text.startswith(SUPPORT):  # a feature's answer and how it is known
        return text.partition(":")[0]
    return text.replace(" %", "\u00a0%")
