"""A launch profile as one immutable value: checked, digested, compared, as JSON. Pure."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.launch.custom import CUSTOM
from engines.launch.kinds import LaunchKind
from engines.launch.settings import BY_NAME, Form, Setting, Value
from engines.launch.trtllm import TRTLLM
from engines.launch.vllm import VLLM

KINDS: Mapping[str, LaunchKind] = {kind.kind: kind for kind in (CUSTOM, VLLM, TRTLLM)}
MOST_TEXT = 500
EVERYWHERE = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - not to listen there, to see who wants to
# A text is one argument of a command line: it must not look like a flag, and a line break would end a unit's line.
PLAIN = re.compile(r"[^\x00-\x1f\x7f]+")
WITH_MODEL = frozenset({"draft", "eagle", "eagle3"})


class InvalidProfile(ValueError):
    """The profile cannot be launched; the message says which setting and why. `setting` is its name, or ""."""

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`model` is a folder or a name that the engine can load. Settings that are not there are the engine's own."""

    kind: str
    model: str
    settings: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", dict(sorted(self.settings.items())))

    @property
    def served_name(self) -> str:
        """What the engine will answer to: the last part of the path unless a name is set."""
        return str(self.settings.get("served_name") or self.model.rstrip("/").rpartition("/")[2])


def to_json(profile: Profile) -> dict[str, Any]:
    return {"kind": profile.kind, "model": profile.model, "settings": dict(profile.settings)}


def from_json(body: Mapping[str, Any]) -> Profile:
    """Raises KeyError or TypeError for a body that to_json did not write."""
    return Profile(kind=body["kind"], model=body["model"], settings=dict(body["settings"]))


def digest(profile: Profile) -> str:
    """SHA-256 of the canonical JSON: two profiles with one digest start the same engine."""
    canonical = json.dumps(to_json(profile), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def diff(a: Profile, b: Profile) -> list[tuple[str, Value | None, Value | None]]:
    """(name, before, after) of all that differs; None is: not set."""
    before, after = _flat(a), _flat(b)
    names = dict.fromkeys([*before, *after])
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def launch_kind(name: str) -> LaunchKind:
    """Raises InvalidProfile."""
    if name not in KINDS:
        raise InvalidProfile(f"Engines of kind {name} are not started from here.", "kind")
    return KINDS[name]


def check(profile: Profile) -> None:
    """Raises InvalidProfile."""
    kind = launch_kind(profile.kind)
    _check_text("The model", profile.model, "model")
    for name, value in profile.settings.items():
        if name not in BY_NAME:
            raise InvalidProfile(f"There is no setting {name}.")
        if not kind.has(name):
            raise InvalidProfile(f"{BY_NAME[name].label}: {kind.missing[name]}", name)
        _check_value(BY_NAME[name], value, allowed(kind, BY_NAME[name]))
    _check_together(profile.settings, kind)


def allowed(kind: LaunchKind, setting: Setting) -> tuple[str, ...]:
    return kind.choices.get(setting.name, setting.choices)


def _flat(profile: Profile) -> dict[str, Value]:
    return {"kind": profile.kind, "model": profile.model, **profile.settings}


def _check_value(setting: Setting, value: Value, choices: tuple[str, ...]) -> None:
    label, name = setting.label, setting.name
    if setting.form is Form.SWITCH:
        if not isinstance(value, bool):
            raise InvalidProfile(f"{label}: on or off.", name)
    elif setting.form is Form.TEXT:
        _check_text(label, value, name)
    elif setting.form is Form.CHOICE:
        if value not in choices:
            raise InvalidProfile(f"{label}: one of {', '.join(choices)}.", name)
    else:
        _check_number(setting, value)


def _check_number(setting: Setting, value: Value) -> None:
    kinds = (int,) if setting.form is Form.WHOLE else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not setting.low <= float(value) <= setting.high:
        what = "a whole number" if setting.form is Form.WHOLE else "a number"
        raise InvalidProfile(f"{setting.label}: {what} from {setting.low:,g} to {setting.high:,.10g}.", setting.name)


def _check_text(label: str, value: object, name: str) -> None:
    good = isinstance(value, str) and len(value) <= MOST_TEXT and PLAIN.fullmatch(value) and value == value.strip()
    if not good or str(value).startswith("-"):
        raise InvalidProfile(f"{label}: one line of text, without a hyphen or blank at its beginning.", name)


def _check_together(settings: Mapping[str, Value], kind: LaunchKind) -> None:
    method = settings.get("speculative")
    if method in WITH_MODEL and "draft_model" not in settings:
        raise InvalidProfile(f"Draft model: {method} needs the path of the model that guesses.", "draft_model")
    for name, fits in (
        ("draft_model", WITH_MODEL),
        ("lookup_tokens", {"ngram"}),
        ("draft_tokens", {*WITH_MODEL, "ngram"}),
    ):
        if name in settings and method not in fits:
            words = ", ".join(sorted(fits))
            raise InvalidProfile(f"{BY_NAME[name].label}: only with speculation by {words}.", name)
    if settings.get("sleep_mode") and settings.get("host") in EVERYWHERE:
        raise InvalidProfile(
            "Listens on: sleep mode opens addresses that can abort every request; name one private address.", "host"
        )
    tokens, running = settings.get("batched_tokens"), settings.get("max_num_seqs")
    if tokens is not None and running is not None and float(tokens) < float(running):
        raise InvalidProfile(
            "Batched tokens: at least the concurrency, as every running request takes one.", "batched_tokens"
        )
    context = settings.get("context_length")
    whole_prompts = kind.has("chunked_prefill") and settings.get("chunked_prefill") is False
    if whole_prompts and tokens is not None and context is not None and float(tokens) < float(context):
        raise InvalidProfile(
            "Batched tokens: without chunked prefill a whole prompt is one step; at least the context length.",
            "batched_tokens",
        )
