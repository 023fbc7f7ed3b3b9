"""The form of a release policy: stages as rows, durations in seconds, shares in per cent."""

from dataclasses import replace
from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField
from engines.models import ENGINE_NAME
from gates.release_policy import InvalidReleasePolicy, ReleasePolicy, Stage, check

ROWS = 6
RESERVED = frozenset({"new"})
DURATIONS = {
    "approval_seconds": "A request for approval expires after, s",
    "evidence_seconds": "A gate run is too old after, s",
    "progress_seconds": "A shift must be observed within, s",
    "no_traffic_seconds": "Pause without traffic after, s",
    "blind_seconds": "Roll back when outcomes are unreadable for, s",
    "drain_seconds": "Streams of a rolled back canary are cut after, s",
    "cooldown_seconds": "The same candidate may shift again after, s",
}
COUNTS = {
    "blind_evaluations": "Pause after failed evaluations in a row, more than",
    "rollback_polls": "Looks in a row that must see share 0",
}


class ReleasePolicyForm(forms.Form):
    """`expected` 0 is a new policy. A stage without a weight is left out; `policy` holds the result once valid."""

    name = forms.CharField(max_length=63, validators=[ENGINE_NAME], help_text="Lower case. Fixed once saved.")
    gate_policy = forms.ChoiceField(label="Gate policy to pass")
    auto_promote = forms.BooleanField(
        required=False, label="Ask nobody: go by evidence alone, and only when none of it is thin or doubtful"
    )
    expected = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    reason = ReasonField(help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, policy: ReleasePolicy, gate_policies: list[str], expected: int = 0) -> None:
        super().__init__(data, initial={**_values(policy), "expected": expected})
        self.base, self.policy = policy, policy
        field = self.fields["gate_policy"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above
        field.choices = [(name, name) for name in gate_policies]
        for number in range(1, ROWS + 1):
            self.fields |= _stage_fields(number)
        for name, label in DURATIONS.items():
            self.fields[name] = forms.FloatField(label=label, min_value=0.1, max_value=30 * 86400)
        for name, label in COUNTS.items():
            self.fields[name] = forms.IntegerField(label=label, min_value=1, max_value=100)
        if expected:
            del self.fields["name"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in RESERVED:
            raise forms.ValidationError(f"“{name}” is an address of this console; choose another name.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        stages = tuple(stage for number in range(1, ROWS + 1) if (stage := _stage(cleaned, number)) is not None)
        given = {name: cleaned[name] for name in (*DURATIONS, *COUNTS, "gate_policy", "auto_promote")}
        self.policy = replace(self.base, name=cleaned.get("name") or self.base.name, stages=stages, **given)
        try:
            check(self.policy)
        except InvalidReleasePolicy as bad:
            self.add_error(None, str(bad))
        return cleaned

    def stage_rows(self) -> list[list[forms.BoundField]]:
        names = ("weight", "dwell", "samples", "approval")
        return [[self[f"{name}_{number}"] for name in names] for number in range(1, ROWS + 1)]

    def settings(self) -> list[forms.BoundField]:
        return [self[name] for name in (*DURATIONS, *COUNTS)]


def _stage_fields(number: int) -> dict[str, forms.Field]:
    return {
        f"weight_{number}": forms.IntegerField(label="Weight, %", min_value=1, max_value=100, required=False),
        f"dwell_{number}": forms.FloatField(label="At least, s", min_value=0, max_value=30 * 86400, required=False),
        f"samples_{number}": forms.IntegerField(label="Requests", min_value=1, max_value=10**7, required=False),
        f"approval_{number}": forms.BooleanField(label="Approval before", required=False),
    }


def _stage(cleaned: dict[str, Any], number: int) -> Stage | None:
    weight = cleaned[f"weight_{number}"]
    if weight is None:
        return None
    return Stage(
        weight=weight, dwell_seconds=cleaned[f"dwell_{number}"] or 0, min_samples=cleaned[f"samples_{number}"] or 1,
        approval=cleaned[f"approval_{number}"],
    )  # fmt: skip


def _values(policy: ReleasePolicy) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(policy, name) for name in (*DURATIONS, *COUNTS)}
    found |= {"name": policy.name, "gate_policy": policy.gate_policy, "auto_promote": policy.auto_promote}
    for number, stage in enumerate(policy.stages, 1):
        found |= {
            f"weight_{number}": stage.weight, f"dwell_{number}": stage.dwell_seconds,
            f"samples_{number}": stage.min_samples, f"approval_{number}": stage.approval,
        }  # fmt: skip
    return found
