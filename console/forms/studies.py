"""Forms that start a study: a capacity search, or an A/B of two engines."""

from collections.abc import Sequence
from typing import Any

from django import forms

from gates.capacity_run import InvalidOptions, check, options_of

Choices = Sequence[tuple[str, str]]


class StudyForm(forms.Form):
    """`carrying` are the engines that serve clients now."""

    target = forms.ChoiceField(label="Engine")
    policy = forms.ChoiceField(label="Policy", help_text="Its objectives, prompts and time limits; not its phases.")
    production = forms.BooleanField(
        required=False, label="Load it beside its client traffic", help_text="Needed where an engine answers clients."
    )  # fmt: skip

    def __init__(
        self, data: Any = None, *, engines: Choices, policies: Choices, carrying: frozenset[str], initial: Any = None
    ) -> None:
        super().__init__(data, initial=initial)
        self.carrying = carrying
        for name, choices in (("target", engines), ("baseline", engines), ("policy", policies)):
            if name in self.fields:
                field = self.fields[name]
                assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above
                field.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        loaded = {cleaned.get("target"), cleaned.get("baseline")} & self.carrying
        if loaded and not cleaned.get("production"):
            names = ", ".join(sorted(map(str, loaded)))
            self.add_error("production", f"{names} answers clients. Tick this to load it all the same.")
        return cleaned

    def options(self) -> dict[str, Any]:
        kept = {"target", "baseline", "production"}
        return {name: value for name, value in self.cleaned_data.items() if name not in kept}


class CapacityForm(StudyForm):
    start = forms.FloatField(label="First rate, per second", initial=1, help_text="Doubled until a probe fails.")
    cap = forms.FloatField(label="Highest rate, per second", initial=64)
    probe_seconds = forms.FloatField(
        label="A probe lasts at least, s",
        initial=20,
        help_text="Longer at slow rates: 120 requests.",
    )
    confirm_seconds = forms.FloatField(
        label="Confirm for, s", initial=0, help_text="One more probe at the rate found; 300 for a figure to plan with."
    )

    field_order = ("target", "policy", "start", "cap", "probe_seconds", "confirm_seconds", "production")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            try:
                check(options_of(cleaned))
            except InvalidOptions as invalid:
                self.add_error(None, str(invalid))
        return cleaned


class AbForm(StudyForm):
    baseline = forms.ChoiceField(label="Baseline", help_text="It is measured against itself first.")
    prompts = forms.IntegerField(
        label="Prompts", initial=40, min_value=6, max_value=2000,
        help_text="Each is asked four times: twice of the baseline alone, then once of both.",
    )  # fmt: skip
    field_order = ("baseline", "target", "prompts", "policy", "production")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["target"].label = "Candidate"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("target") and cleaned.get("target") == cleaned.get("baseline"):
            self.add_error("target", "Choose another engine than the baseline.")
        return cleaned
