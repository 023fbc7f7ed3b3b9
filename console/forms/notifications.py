"""The form of a notification channel. What is secret can be written, never read."""

from typing import Any, cast

from django import forms

from console.models import Channel
from console.notify.addresses import check_form
from engines.models import ENGINE_NAME
from engines.network import UrlRefused

EVENTS = (
    ("release.*", "releases: every change of state"),
    ("approval.*", "approvals: asked for, decided, stale"),
    ("gate.*", "gate runs: started, judged, interrupted"),
    ("engine.left", "an engine left rotation"),
    ("engine.entered", "an engine is back in rotation"),
    ("slo.*", "a route misses its objectives, or meets them again"),
    ("route.*", "splits changed by anybody"),
)


LEAST_SECRET = 16


class ChannelForm(forms.Form):
    name = forms.CharField(max_length=63, validators=[ENGINE_NAME], help_text="Lower case.")
    kind = forms.ChoiceField(choices=Channel.Kind.choices, label="Kind")
    url = forms.CharField(
        label="Address", required=False, max_length=500, widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Webhook: https://host/path. Chat and mail: an Apprise URL, such as slack://… or mailto://…",
    )  # fmt: skip
    secret = forms.CharField(
        label="Signing secret", required=False, max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=f"Webhooks are signed with it (HMAC-SHA256). At least {LEAST_SECRET} characters.",
    )  # fmt: skip
    events = forms.MultipleChoiceField(label="Tell of", choices=EVENTS, widget=forms.CheckboxSelectMultiple)

    def __init__(self, data: Any = None, *, channel: Channel | None = None) -> None:
        initial = {"name": channel.name, "kind": channel.kind, "events": channel.events} if channel else {}
        super().__init__(data, initial=initial)
        self.channel = channel
        if channel is not None:
            offered = {pattern for pattern, _ in EVENTS}
            more = [(pattern, pattern) for pattern in channel.events if pattern not in offered]
            cast("forms.MultipleChoiceField", self.fields["events"]).choices = [*EVENTS, *more]
            for name in ("url", "secret"):
                self.fields[name].help_text = "Leave empty to keep the one that is stored."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Channel.objects.filter(name=name).exclude(pk=self.channel.pk if self.channel else 0).exists():
            raise forms.ValidationError(f"There is a channel named {name} already.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._check_secret(cleaned)
        url = cleaned.get("url", "")
        if not url and self.channel is None:
            self.add_error("url", "Give the address.")
        if url and cleaned.get("kind") == Channel.Kind.WEBHOOK:
            try:
                check_form(url)
            except UrlRefused as refused:
                self.add_error("url", str(refused))
        elif url and "://" not in url:
            self.add_error("url", "Write an Apprise URL, such as mailto://… or slack://…")
        return cleaned

    def _check_secret(self, cleaned: dict[str, Any]) -> None:
        secret, kept = cleaned.get("secret", ""), bool(self.channel and self.channel.sealed_secret)
        if secret and len(secret) < LEAST_SECRET:
            self.add_error("secret", f"Use at least {LEAST_SECRET} characters.")
        elif not secret and not kept and cleaned.get("kind") == Channel.Kind.WEBHOOK:
            self.add_error("secret", "A webhook needs a signing secret: without it anybody could send in our name.")
