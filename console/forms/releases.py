"""Forms of releases: a new one, a decision with a password, a waiver, an act with a reason."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField
from gates.detectors.settings import DetectorSettings


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


class DetectorForm(forms.Form):
    """Settings of the detectors as people read them: per cent and seconds."""

    blame = forms.FloatField(
        label="Blame: false alarms a release, %", min_value=0.001, max_value=2.5, initial=0.5,
        help_text="Shared over errors, TTFT and E2E as 4 : 3 : 3.",
    )  # fmt: skip
    protect = forms.FloatField(
        label="Protect: false alarms a release, %", min_value=0.001, max_value=2.5, initial=0.5,
        help_text="Shared evenly.",
    )  # fmt: skip
    error_rate = forms.FloatField(label="Errors allowed, %", min_value=0.001, max_value=50, initial=0.5)
    late_share = forms.FloatField(label="Late requests allowed, %", min_value=0.1, max_value=50, initial=5)
    block_requests = forms.IntegerField(label="Block, requests", min_value=5, max_value=10_000, initial=60)
    block_seconds = forms.FloatField(label="Block, s", min_value=1, max_value=3600, initial=60)

    def settings(self) -> DetectorSettings:
        given = self.cleaned_data
        blame, protect = given["blame"] / 100, given["protect"] / 100
        return DetectorSettings(
            blame_errors=0.4 * blame, blame_ttft=0.3 * blame, blame_e2e=0.3 * blame, protect_errors=protect / 3,
            protect_ttft=protect / 3, protect_e2e=protect / 3, error_rate=given["error_rate"] / 100,
            late_share=given["late_share"] / 100, block_requests=given["block_requests"],
            block_seconds=given["block_seconds"],
        )  # fmt: skip
