"""The editor of a launch profile: one field for each setting that the engine kind has."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField
from engines.launch.profile import InvalidProfile, Profile, allowed, check, launch_kind
from engines.launch.settings import GROUPS, SETTINGS, Form, Setting, Value
from engines.models import ENGINE_NAME

RESERVED = frozenset({"new", "command"})
ON, OFF = "on", "off"


class ProfileForm(forms.Form):
    """`expected` 0 is a new profile. Empty settings are the engine's own. `profile` is the result once valid."""

    name = forms.CharField(max_length=63, validators=[ENGINE_NAME], help_text="Lower case. Fixed once saved.")
    model = forms.CharField(
        max_length=500,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="A folder on the machine that runs the engine, or a name that it can load.",
    )
    expected = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    reason = ReasonField(help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, profile: Profile, expected: int = 0, drawing: bool = False) -> None:
        """`drawing` asks for neither name nor reason: the command is shown while typing."""
        super().__init__(data, initial={**values(profile), "expected": expected})
        self.profile = profile
        self.kind = launch_kind(profile.kind)
        for setting in SETTINGS:
            if self.kind.has(setting.name):
                self.fields[setting.name] = _field(setting, self.kind.defaults, allowed(self.kind, setting))
        if expected or drawing:
            del self.fields["name"]
        if drawing:
            del self.fields["reason"]

    def groups(self) -> Iterator[tuple[str, list[forms.BoundField]]]:
        for group in GROUPS:
            found = [self[one.name] for one in SETTINGS if one.group == group and one.name in self.fields]
            if found:
                yield group, found

    def refusals(self) -> list[tuple[str, str]]:
        """What this kind does not have, and why."""
        return [(one.label, self.kind.missing[one.name]) for one in SETTINGS if not self.kind.has(one.name)]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in RESERVED:
            raise forms.ValidationError(f"“{name}” is an address of this console; choose another name.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        settings = {
            one.name: _value(one, cleaned[one.name]) for one in SETTINGS if cleaned.get(one.name) not in ("", None)
        }
        self.profile = Profile(kind=self.kind.kind, model=cleaned["model"], settings=settings)
        try:
            check(self.profile)
        except InvalidProfile as invalid:
            self.add_error(invalid.setting if invalid.setting in self.fields else None, str(invalid))
        return cleaned


def values(profile: Profile) -> dict[str, Any]:
    """What the fields hold for a profile."""
    shown = {name: _shown(value) for name, value in profile.settings.items()}
    return {"model": profile.model, **shown}


def _shown(value: Value) -> Value:
    return (ON if value else OFF) if isinstance(value, bool) else value


def _value(setting: Setting, given: Any) -> Value:
    if setting.form is Form.SWITCH:
        return bool(given == ON)
    return given  # type: ignore[no-any-return]


def _field(setting: Setting, defaults: Mapping[str, str], choices: tuple[str, ...]) -> forms.Field:
    default = defaults.get(setting.name, "")
    label = f"{setting.label}, {setting.unit}" if setting.unit and setting.unit not in setting.label else setting.label
    common: dict[str, Any] = {"label": label, "required": False, "help_text": setting.sentence}
    if setting.form in (Form.SWITCH, Form.CHOICE):
        names = (ON, OFF) if setting.form is Form.SWITCH else choices
        empty = f"unset: {default}" if default else "unset"
        return forms.ChoiceField(choices=[("", empty), *((name, name) for name in names)], **common)
    attributes: dict[str, Any] = {"placeholder": default, "spellcheck": "false"}
    if setting.form is Form.TEXT:
        return forms.CharField(max_length=500, widget=forms.TextInput(attrs=attributes), **common)
    limits: dict[str, Any] = {"min_value": setting.low, "max_value": setting.high}
    if setting.form is Form.SHARE:
        widget = forms.NumberInput(attrs={**attributes, "step": "any"})
        return forms.FloatField(widget=widget, **limits, **common)
    return forms.IntegerField(widget=forms.NumberInput(attrs=attributes), **limits, **common)
