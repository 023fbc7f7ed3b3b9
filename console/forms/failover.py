"""The form that starts a failover gate: which pair of engines, which faults."""

from collections.abc import Sequence
from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField
from gates.failover.scenarios import DEFAULT, MEANING


class FailoverForm(forms.Form):
    """`pairs` are ("route|engine|other", label)."""

    pair = forms.ChoiceField(label="Which engine fails", help_text="In appearance only: a stand-in before it does.")
    scenarios = forms.MultipleChoiceField(
        label="Faults",
        choices=[(name.value, f"{name}: {words}") for name, words in MEANING.items()],
        initial=[name.value for name in DEFAULT],
        widget=forms.CheckboxSelectMultiple,
    )
    seconds = forms.FloatField(
        label="Each fault lasts, s", initial=8, min_value=4, max_value=60, help_text="From 4 to 60 seconds."
    )
    reason = ReasonField(label="Reason", help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(data)
        field = self.fields["pair"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above
        field.choices = pairs
