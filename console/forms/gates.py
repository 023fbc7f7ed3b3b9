"""Forms of the gates: starting a run, editing a policy, judging again under other objectives."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django import forms

from console.forms.traffic import REASON_HINT, ReasonField
from engines.models import ENGINE_NAME
from gates.policy import InvalidPolicy, Mode, Objectives, OpenLoop, Phase, Policy, Spacing, Step, Workload, check

SHARES = ("error_rate", "qps_ratio", "windows_met")
SOURCES = (
    ("demo", "built-in prompts"),
    ("synthetic", "synthetic lengths"),
    ("upload", "lines of JSON"),
    ("replay", "recorded traffic of a route"),
)
MOST_LINES = 5000
RESERVED = frozenset({"new", "shape"})


class StartForm(forms.Form):
    """`targets` and `policies` are (value, label) pairs; `carrying` the targets that serve clients now."""

    target = forms.ChoiceField(label="Target", help_text="An engine directly, or a route through the gateway.")
    policy = forms.ChoiceField(label="Policy")
    baseline = forms.ChoiceField(
        label="Compare with", required=False, help_text="The report shows the difference. Only finished runs."
    )
    note = ReasonField(label="Reason", help_text=f"{REASON_HINT} Shown with the run.")
    production = forms.BooleanField(required=False, label="Load it beside its client traffic")

    def __init__(
        self,
        data: Any = None,
        *,
        targets: Sequence[tuple[str, str]],
        policies: Sequence[tuple[str, str]],
        baselines: Sequence[tuple[str, str]],
        initial: Any = None,
        carrying: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(data, initial=initial)
        self.carrying = carrying
        for name, choices in (("target", targets), ("policy", policies), ("baseline", [("", "nothing"), *baselines])):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above
            field.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("target") in self.carrying and not cleaned.get("production"):
            self.add_error("production", "This target answers clients. Tick this to load it all the same.")
        return cleaned


class ObjectivesForm(forms.Form):
    """Limits as people read them: seconds, and per cent for shares."""

    ttft_p95 = forms.FloatField(min_value=0.001, max_value=3600, label="TTFT P95, s")
    e2e_p95 = forms.FloatField(min_value=0.001, max_value=86_400, label="E2E P95, s")
    error_rate = forms.FloatField(min_value=0.001, max_value=100, label="Errors below, %")
    qps = forms.FloatField(min_value=0.001, max_value=100_000, label="QPS target, per second")
    qps_ratio = forms.FloatField(min_value=1, max_value=100, label="QPS passes at, % of target")
    windows_met = forms.FloatField(min_value=1, max_value=100, label="Windows met, %")

    def objectives(self) -> Objectives:
        given = {name: self.cleaned_data[name] for name in ObjectivesForm.base_fields}
        return Objectives(**{name: round(v / 100, 12) if name in SHARES else v for name, v in given.items()})


class PolicyForm(ObjectivesForm):
    """Every field of gates.policy.Policy; a phase that is not ticked is None."""

    name = forms.CharField(max_length=63, validators=[ENGINE_NAME], help_text="Lower case. Fixed once saved.")
    step_on = forms.BooleanField(required=False, label="STEP: rising concurrency")
    step_levels = forms.CharField(
        label="Levels", help_text="Requests in flight, rising: 1, 2, 4, 8, 16", required=False
    )
    step_seconds = forms.FloatField(label="Level lasts at least, s", min_value=0.1, required=False)
    step_completions = forms.IntegerField(label="and until answers", min_value=1, max_value=100_000, required=False)
    step_cap = forms.FloatField(label="but at most, s", min_value=0.1, required=False)
    workload = forms.ChoiceField(choices=SOURCES, label="Prompts")
    input_tokens = forms.IntegerField(min_value=1, max_value=1_000_000, label="Input, tokens")
    input_sigma = forms.FloatField(
        min_value=0, max_value=3, label="Spread of input", help_text="Lognormal σ, 0 = fixed"
    )
    output_tokens = forms.IntegerField(min_value=1, max_value=100_000, label="Output, tokens")
    output_sigma = forms.FloatField(
        min_value=0, max_value=3, label="Spread of output", help_text="Lognormal σ, 0 = fixed"
    )
    temperature = forms.FloatField(min_value=0, max_value=2, label="Temperature")
    ignore_eos = forms.BooleanField(required=False, label="Ignore the end token: every answer has its full length")
    salted = forms.BooleanField(required=False, label="Unique beginning of each prompt: keeps prefix caches out")
    lines = forms.CharField(
        required=False, label="Lines of JSON", widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One request per line, for “lines of JSON”.",
    )  # fmt: skip
    replay_route = forms.CharField(
        required=False, max_length=63, label="Route to replay", help_text="Arrivals and lengths, no text."
    )
    mode = forms.ChoiceField(
        choices=(
            (Mode.GATE.value, "gate: stop when lost"),
            (Mode.DIAGNOSE.value, "diagnose: run to the end"),
        )
    )
    warm_up_requests = forms.IntegerField(min_value=0, max_value=1000, label="Warm-up requests")
    warm_up_seconds = forms.FloatField(min_value=0, max_value=3600, label="Warm-up at most, s")
    drain_seconds = forms.FloatField(min_value=0, max_value=600, label="Drain at most, s")
    request_timeout = forms.FloatField(min_value=0.1, max_value=3600, label="Time limit of a request, s")
    in_flight_cap = forms.IntegerField(min_value=1, max_value=4096, label="Most in flight")
    window_seconds = forms.FloatField(min_value=1, max_value=3600, label="Window, s")
    window_minimum = forms.IntegerField(min_value=1, max_value=100_000, label="Requests that a window needs")
    expected = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    reason = ReasonField(help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, policy: Policy, expected: int = 0, drawing: bool = False) -> None:
        """`expected` 0 is a new policy. `drawing` asks for neither name nor reason: the shape is drawn while typing."""
        super().__init__(data, initial={**values(policy), "expected": expected})
        self.known = "" if expected == 0 else policy.name
        self.policy = policy
        for phase in (Phase.SPIKE, Phase.SOAK):
            self._add_open_loop(phase)
        if self.known or drawing:
            del self.fields["name"]
        if drawing:
            del self.fields["reason"]
            self.known = policy.name

    def _add_open_loop(self, phase: Phase) -> None:
        title = phase.value.upper()
        self.fields |= {
            f"{phase}_on": forms.BooleanField(required=False, label=f"{title}: sent on time, whatever the answers do"),
            f"{phase}_rate": forms.FloatField(label="Requests per second", min_value=0.001, required=False),
            f"{phase}_seconds": forms.FloatField(label="Length, s", min_value=0.1, required=False),
            f"{phase}_spacing": forms.ChoiceField(
                label="Spacing", required=False, choices=[(spacing.value, spacing.value) for spacing in Spacing]
            ),
            f"{phase}_cv": forms.FloatField(label="Variation, for gamma", min_value=0.01, required=False),
        }

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in RESERVED:
            raise forms.ValidationError(f"“{name}” is an address of this console; choose another name.")
        return name

    def clean_step_levels(self) -> tuple[int, ...]:
        words = self.cleaned_data["step_levels"].replace(",", " ").split()
        if not all(word.isdecimal() and len(word) < 6 for word in words):
            raise forms.ValidationError("Whole numbers, like 1, 2, 4, 8, 16.")
        return tuple(int(word) for word in words)

    def clean_lines(self) -> tuple[str, ...]:
        lines = tuple(line.strip() for line in self.cleaned_data["lines"].splitlines() if line.strip())
        if len(lines) > MOST_LINES:
            raise forms.ValidationError(f"At most {MOST_LINES} lines.")
        return lines

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._require_parts(cleaned)
        if not self.errors:
            self.policy = self._policy()
            try:
                check(self.policy)
            except InvalidPolicy as invalid:
                self.add_error(None, str(invalid))
        return cleaned

    def _require_parts(self, cleaned: dict[str, Any]) -> None:
        """The fields of a phase are needed only where the phase is run."""
        parts = {
            "step": ("levels", "seconds", "completions", "cap"),
            "spike": ("rate", "seconds", "cv"),
            "soak": ("rate", "seconds", "cv"),
        }
        for phase, names in parts.items():
            for name in names:
                field = f"{phase}_{name}"
                if cleaned.get(f"{phase}_on") and field not in self.errors and not cleaned.get(field):
                    self.add_error(field, f"{phase.upper()} needs this.")

    def _policy(self) -> Policy:
        data = self.cleaned_data
        kept = (
            "warm_up_requests",
            "warm_up_seconds",
            "drain_seconds",
            "request_timeout",
            "in_flight_cap",
            "window_seconds",
            "window_minimum",
        )
        lengths = (
            "input_tokens",
            "input_sigma",
            "output_tokens",
            "output_sigma",
            "temperature",
            "ignore_eos",
            "salted",
            "lines",
            "replay_route",
        )
        step = Step(
            levels=data["step_levels"], level_seconds=data["step_seconds"],
            level_completions=data["step_completions"], level_cap_seconds=data["step_cap"],
        ) if data["step_on"] else None  # fmt: skip
        return replace(
            self.policy,
            name=self.known or data["name"],
            step=step,
            spike=self._open_loop(Phase.SPIKE),
            soak=self._open_loop(Phase.SOAK),
            objectives=self.objectives(),
            workload=Workload(source=data["workload"], **{name: data[name] for name in lengths}),
            mode=Mode(data["mode"]),
            **{name: data[name] for name in kept},
        )

    def _open_loop(self, phase: Phase) -> OpenLoop | None:
        part = {name: self.cleaned_data[f"{phase}_{name}"] for name in ("on", "rate", "seconds", "spacing", "cv")}
        if not part.pop("on"):
            return None
        return OpenLoop(**{**part, "spacing": Spacing(part["spacing"] or Spacing.CONSTANT)})


def objective_values(objectives: Objectives) -> dict[str, float]:
    given = {name: getattr(objectives, name) for name in ObjectivesForm.base_fields}
    return {name: round(value * 100, 10) if name in SHARES else value for name, value in given.items()}


def values(policy: Policy) -> dict[str, Any]:
    """The policy as the form's initial values; a phase that is off shows the defaults it would start with."""
    step, workload = policy.step or Step(), policy.workload
    initial: dict[str, Any] = {
        **objective_values(policy.objectives),
        **{name: getattr(workload, name) for name in ("input_tokens", "input_sigma", "output_tokens", "output_sigma")},
        **{name: getattr(workload, name) for name in ("temperature", "ignore_eos", "salted", "replay_route")},
        **{name: getattr(policy, name) for name in ("warm_up_requests", "warm_up_seconds", "drain_seconds")},
        **{name: getattr(policy, name) for name in ("request_timeout", "in_flight_cap", "window_seconds")},
        "window_minimum": policy.window_minimum,
        "name": policy.name,
        "mode": policy.mode.value,
        "workload": workload.source,
        "lines": "\n".join(workload.lines),
        "step_on": policy.step is not None,
        "step_levels": ", ".join(map(str, step.levels)),
        "step_seconds": step.level_seconds,
        "step_completions": step.level_completions,
        "step_cap": step.level_cap_seconds,
    }
    for phase, default in ((Phase.SPIKE, OpenLoop(rate=5, seconds=60)), (Phase.SOAK, OpenLoop(rate=2, seconds=1800))):
        spec = getattr(policy, phase.value)
        shown = spec or default
        initial |= {f"{phase}_on": spec is not None, f"{phase}_rate": shown.rate, f"{phase}_seconds": shown.seconds}
        initial |= {f"{phase}_spacing": shown.spacing.value, f"{phase}_cv": shown.cv}
    return initial
