"""Launching an engine by a profile: under which name, on which port, and why."""

from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField
from engines.launched import LONGEST, PREFIX
from engines.models import ENGINE_NAME


class LaunchForm(forms.Form):
    engine = forms.CharField(
        max_length=LONGEST - len(PREFIX), validators=[ENGINE_NAME],
        help_text="A new engine gets no traffic until a route names it. A known one gets one more replica.",
    )  # fmt: skip
    port = forms.IntegerField(
        required=False, min_value=1024, max_value=65535, help_text="Leave empty for the profile's, else a free one."
    )
    reason = ReasonField(help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, name: str) -> None:
        super().__init__(data, initial={"engine": name})
