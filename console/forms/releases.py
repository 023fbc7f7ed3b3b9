"""Forms of releases: a new one, a decision with a password, a waiver, an act with a reason."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField


class ReleaseForm(forms.Form):
    """Choices are (value, label) pairs; `evidence` are passed gate runs, "" asks for a new one."""

    route = forms.ChoiceField(label="Route", help_text="The model name whose traffic the candidate is to take.")
    candidate = forms.ChoiceField(label="Candidate", help_text="It begins at 0 % of the route.")
    policy = forms.ChoiceField(label="Release policy", help_text="Stages, approvals, dwell and the gate to pass.")
    evidence = forms.ChoiceField(
        label="Evidence", required=False, help_text="A passed run of the very same candidate, or a new one."
    )
    note = ReasonField(label="Reason", help_text=REASON_HINT)

    def __init__(
        self, data: Any = None, *, choices: Mapping[str, Sequence[tuple[str, str]]], initial: Any = None
    ) -> None:
        super().__init__(data, initial=initial)
        for name, values in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above
            field.choices = values


class DecideForm(forms.Form):
    """A decision on an approval. The password is asked for again: who sits at the keyboard decides in a name."""

    comment = forms.CharField(
        label="Comment", required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Needed to reject.",
    )  # fmt: skip
    password = forms.CharField(
        label="Your password", required=False, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}), help_text="Needed to approve.",
    )  # fmt: skip


class BreakGlassForm(forms.Form):
    reason = ReasonField(label="Reason", help_text=REASON_HINT)
    incident = forms.URLField(label="Incident", assume_scheme="https", help_text="Its address.")


class WaiveForm(forms.Form):
    reason = ReasonField(label="Reason", help_text=f"{REASON_HINT} Shown red for ever.")
    hours = forms.IntegerField(label="Valid for, hours", min_value=1, max_value=168, initial=24)
