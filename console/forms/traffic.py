"""The split of a route as a form: one row per engine of the registry, whole per cent, total 100."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms

from engines.models import ENGINE_NAME, Engine
from routing.actions import InvalidSplit, check_members
from routing.table import Member, Role

NOT_IN_ROUTE = "none"
ROLES = (
    (Role.SPLIT.value, "split"),
    (Role.STANDBY.value, "standby"),
    (Role.OUT.value, "out"),
    (NOT_IN_ROUTE, "not in route"),
)
REASON_LENGTH = 10
REASON_HINT = "At least 10 characters. Goes to the audit log."
PRESETS = (0, 1, 5, 10, 25, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class EditorRow:
    """One engine as the editor shows it; `weight` is as typed, `was` the share in force (None = not in route)."""

    engine: Engine
    role: str
    weight: Any
    canary: bool
    was: int | None
    errors: Sequence[str] = field(default_factory=tuple)


class ReasonField(forms.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_length=REASON_LENGTH,
            max_length=500,
            widget=forms.Textarea(attrs={"rows": 2}),
            error_messages={
                "required": "Say why, in at least 10 characters: it goes to the audit log.",
                "min_length": "Say why, in at least 10 characters: it goes to the audit log.",
            },
            **options,
        )


class SplitForm(forms.Form):
    """Fields role:NAME, weight:NAME and canary:NAME for each engine, with the reason and the expected revision."""

    reason = ReasonField(help_text=REASON_HINT)
    expected = forms.IntegerField(min_value=1, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(
        self, data: Any = None, *, engines: Iterable[Engine], current: Sequence[Member], expected: int = 1
    ) -> None:
        self.current = {member.engine: member for member in current}
        self.engines = sorted(engines, key=self._place)
        self.members: list[Member] = []
        super().__init__(data, initial=self._initial(expected))
        for engine in self.engines:
            self._add_fields(engine.name)

    def _place(self, engine: Engine) -> tuple[int, str]:
        names = list(self.current)
        return (names.index(engine.name) if engine.name in names else len(names), engine.name)

    def _initial(self, expected: int) -> dict[str, Any]:
        initial: dict[str, Any] = {"expected": expected}
        for engine in self.engines:
            member = self.current.get(engine.name)
            initial[f"role:{engine.name}"] = member.role.value if member else NOT_IN_ROUTE
            initial[f"weight:{engine.name}"] = member.weight if member else 0
            initial[f"canary:{engine.name}"] = member.canary if member else False
        return initial

    def _add_fields(self, name: str) -> None:
        whole = "A whole number from 0 to 100."
        self.fields[f"role:{name}"] = forms.ChoiceField(choices=ROLES)
        self.fields[f"weight:{name}"] = forms.IntegerField(
            min_value=0,
            max_value=100,
            required=False,
            error_messages={"invalid": whole, "min_value": whole, "max_value": whole},
        )
        self.fields[f"canary:{name}"] = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if any(name.startswith(("role:", "weight:")) for name in self.errors):
            return cleaned
        self.members = [member for member in map(self._member, self.engines) if member is not None]
        try:
            check_members(self.members)
        except InvalidSplit as refused:
            self.add_error(None, str(refused))
        if {member.engine: member for member in self.members} == self.current:
            self.add_error(None, "Nothing changes: this is the split in force.")
        if self.members and not any(member.role is Role.SPLIT and not member.canary for member in self.members):
            self.add_error(None, "At least one engine of the split must be no canary: the others fall back to it.")
        return cleaned

    def _member(self, engine: Engine) -> Member | None:
        role = self.cleaned_data[f"role:{engine.name}"]
        if role == NOT_IN_ROUTE:
            return None
        split = role == Role.SPLIT.value
        weight = (self.cleaned_data[f"weight:{engine.name}"] or 0) if split else 0
        return Member(engine.name, Role(role), weight, bool(split and self.cleaned_data[f"canary:{engine.name}"]))

    @property
    def role_choices(self) -> tuple[tuple[str, str], ...]:
        return ROLES

    def rows(self) -> list[EditorRow]:
        return [self._row(engine) for engine in self.engines]

    def _row(self, engine: Engine) -> EditorRow:
        member = self.current.get(engine.name)
        return EditorRow(
            engine=engine,
            role=self[f"role:{engine.name}"].value() or NOT_IN_ROUTE,
            weight=self[f"weight:{engine.name}"].value(),
            canary=bool(self[f"canary:{engine.name}"].value()),
            was=member.weight if member else None,
            errors=[*self.errors.get(f"role:{engine.name}", []), *self.errors.get(f"weight:{engine.name}", [])]
            if self.is_bound
            else [],
        )

    def total(self) -> int:
        """The sum of what is typed in the rows of the split; what is no number counts nothing."""
        typed = [str(row.weight) for row in self.rows() if row.role == Role.SPLIT.value]
        return sum(int(text) for text in typed if text.isdecimal())


class RouteForm(SplitForm):
    """A new route: its public model name and its first split."""

    name = forms.CharField(
        max_length=63, validators=[ENGINE_NAME], help_text="The model name that clients send. Fixed once created."
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name == "new":
            raise forms.ValidationError("“new” is an address of this console; choose another name.")
        return name


class ConfirmName(forms.Form):
    """Typing the name is the confirmation of what cannot be undone."""

    typed = forms.CharField(strip=True, error_messages={"required": "Type the name."})
    reason = ReasonField(help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, name: str) -> None:
        super().__init__(data)
        self.name = name
        self.fields["typed"].label = f"Type {name} to delete it"
        self.fields["typed"].widget.attrs["autocomplete"] = "off"

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed != self.name:
            raise forms.ValidationError(f"Type {self.name} exactly as it is written.")
        return typed
