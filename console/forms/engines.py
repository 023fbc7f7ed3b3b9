"""Registering and editing an engine, and the confirmations of what changes its traffic."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator

from console.forms.traffic import REASON_HINT, ReasonField
from engines.actions import EngineSpec
from engines.client import Answer, Feature
from engines.models import ENGINE_NAME, Engine
from engines.network import UrlRefused, check_url
from engines.sealing import seal

MAX_REPLICAS = 16
BIG_NAME = re.compile(r"120b", re.IGNORECASE)
PLAIN_TEXT = RegexValidator(r"\A[^\x00-\x1f\x7f]*\Z", "One line of plain text, without control characters.")
# It goes into a header: a line break in it would be another header.
TOKEN = RegexValidator(r"\A[!-~]*\Z", "Only printable ASCII characters, without spaces or line breaks.")
ANSWERS = ((Answer.UNKNOWN.value, "find out"), (Answer.YES.value, "yes"), (Answer.NO.value, "no"))
BY_NAME = "auto"


class ConnectionForm(forms.Form):
    """What a check list needs of an engine: its kind, where it listens and how to get in."""

    kind = forms.ChoiceField(choices=Engine.Kind.choices)
    served_model = forms.CharField(
        max_length=200,
        validators=[PLAIN_TEXT],
        label="Served model",
        help_text="The name the engine itself answers to, as its /v1/models lists it.",
    )
    urls = forms.CharField(
        label="Base URLs",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "placeholder": "http://10.0.0.7:8000"}),
        help_text="One replica per line, without /v1.",
        error_messages={"required": "At least one address, like http://10.0.0.7:8000."},
    )
    key = forms.CharField(
        required=False,
        strip=True,
        max_length=400,
        validators=[TOKEN],
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Sent as a bearer token. Leave empty where the engine asks for none.",
    )

    def __init__(self, data: Any = None, *, engine: Engine | None = None, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        self.engine = engine
        self.kept = {row.url: row.sealed_key for row in engine.replicas.all()} if engine else {}
        if any(self.kept.values()):
            self.fields["key"].help_text = "A key is set. Leave empty to keep it; it is never shown."

    def clean_urls(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["urls"].splitlines() if line.strip()]
        if not lines:
            raise forms.ValidationError("At least one address, like http://10.0.0.7:8000.")
        if len(lines) > MAX_REPLICAS:
            raise forms.ValidationError(f"At most {MAX_REPLICAS} replicas.")
        return list(dict.fromkeys(self._checked(line) for line in lines))

    def _checked(self, line: str) -> str:
        try:
            return check_url(line, settings.ENGINE_NETWORKS).base
        except UrlRefused as refused:
            raise forms.ValidationError(f"{line}: {refused}") from None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        new = set(cleaned.get("urls", [])) - set(self.kept)
        keyless = not cleaned.get("key") and not cleaned.get("forget_key")
        if new and keyless and any(self.kept.values()):
            self.add_error("key", "Enter the key again: a stored key is never sent to a new address.")
        return cleaned

    def sealed(self) -> Mapping[str, str]:
        """URL → sealed key, keeping what is stored where no new key was given."""
        given = seal(self.cleaned_data["key"], settings.FERNET_KEY)
        forget = self.cleaned_data.get("forget_key", False)
        return {url: given or ("" if forget else self.kept.get(url, "")) for url in self.cleaned_data["urls"]}


class EngineForm(ConnectionForm):
    field_order = ("name",)
    name = forms.CharField(
        max_length=63, validators=[ENGINE_NAME], help_text="Lower case, used in routes and headers. Fixed once saved."
    )
    forget_key = forms.BooleanField(required=False, label="Remove the stored key")
    context_length = forms.IntegerField(
        required=False, min_value=1, max_value=10_000_000, label="Context length, tokens",
        help_text="Leave empty to take what the engine says.",
    )  # fmt: skip
    max_in_flight = forms.IntegerField(
        min_value=1, max_value=4096, initial=64, label="Most requests in flight",
        help_text="Per replica and gateway; more wait or go elsewhere.",
    )  # fmt: skip
    big_model = forms.ChoiceField(
        choices=((BY_NAME, "by name: 120b is big"), ("yes", "yes"), ("no", "no")),
        initial=BY_NAME,
        label="Big model",
        help_text="Requests for a big model prefer vLLM, then TensorRT-LLM.",
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    reason = ReasonField(help_text=REASON_HINT)

    def __init__(self, data: Any = None, *, engine: Engine | None = None) -> None:
        super().__init__(data, engine=engine, initial=_initial(engine) if engine else None)
        for feature in Feature:
            self.fields[f"feature_{feature}"] = forms.ChoiceField(
                choices=ANSWERS,
                label=feature.value.replace("_", " "),
                initial=_declared(engine, feature),
                required=False,
            )
        if engine is not None:
            del self.fields["name"]
            if not any(self.kept.values()):
                del self.fields["forget_key"]
        else:
            del self.fields["forget_key"]

    def feature_fields(self) -> list[forms.BoundField]:
        return [self[f"feature_{feature}"] for feature in Feature]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in {"register", "checks", "profiles"}:
            raise forms.ValidationError(f"“{name}” is an address of this console; choose another name.")
        if Engine.objects.filter(name=name).exists():
            raise forms.ValidationError(f"There is an engine named {name} already.")
        return name

    def spec(self) -> EngineSpec:
        data = self.cleaned_data
        big = data["big_model"]
        return EngineSpec(
            name=self.engine.name if self.engine else data["name"],
            kind=data["kind"],
            served_model=data["served_model"],
            big_model=big == "yes" or (big == BY_NAME and bool(BIG_NAME.search(data["served_model"]))),
            context_length=data["context_length"],
            max_in_flight=data["max_in_flight"],
            features=self._features(),
        )

    def _features(self) -> dict[str, str]:
        """What is declared, and what a probe detected where nothing is declared."""
        stored = self.engine.features if self.engine else {}
        answers = {name: text for name, text in stored.items() if text.endswith(":detected")}
        for feature in Feature:
            answer = self.cleaned_data[f"feature_{feature}"]
            if answer in (Answer.YES, Answer.NO):
                answers[feature.value] = f"{answer}:declared"
        return answers


def _declared(engine: Engine | None, feature: Feature) -> str:
    """Only what an operator said: a detected answer stays open to the next detection."""
    answer, _, source = (engine.features.get(feature, "") if engine else "").partition(":")
    return answer if answer and source != "detected" else Answer.UNKNOWN.value


class ReasonForm(forms.Form):
    reason = ReasonField(help_text=REASON_HINT)


def _initial(engine: Engine) -> dict[str, Any]:
    return {
        "kind": engine.kind,
        "served_model": engine.served_model,
        "urls": "\n".join(engine.replicas.order_by("pk").values_list("url", flat=True)),
        "context_length": engine.context_length,
        "max_in_flight": engine.max_in_flight,
        "big_model": "yes" if engine.big_model else "no",
        "version": engine.version,
    }
