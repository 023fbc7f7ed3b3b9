"""Hypothesis strategies: profiles of every kind that may be launched, drawn from the table of settings."""

import string
from typing import Any

from hypothesis import strategies as st

from engines.launch.profile import KINDS, WITH_MODEL, InvalidProfile, Profile, allowed, check
from engines.launch.settings import SETTINGS, Form, Setting

WORDS = st.text(string.ascii_letters + string.digits + "/_. '\"$%{}é\\", min_size=1, max_size=40).filter(
    lambda text: text == text.strip() and not text.startswith("-")
)


def value(setting: Setting, choices: tuple[str, ...]) -> st.SearchStrategy[Any]:
    if setting.form is Form.SWITCH:
        return st.booleans()
    if setting.form is Form.CHOICE:
        return st.sampled_from(choices)
    if setting.form is Form.TEXT:
        return WORDS
    if setting.form is Form.SHARE:
        return st.floats(setting.low, setting.high).map(lambda share: round(share, 4))
    return st.integers(int(setting.low), int(setting.high))


def good(profile: Profile) -> bool:
    try:
        check(profile)
    except InvalidProfile:
        return False
    return True


@st.composite
def profiles(draw: st.DrawFn, kind: str = "") -> Profile:
    known = KINDS[kind or draw(st.sampled_from(sorted(KINDS)))]
    named = [setting for setting in SETTINGS if known.has(setting.name)]
    chosen = draw(st.lists(st.sampled_from(named), unique=True, max_size=8))
    settings = {one.name: draw(value(one, allowed(known, one))) for one in chosen}
    method = settings.get("speculative")
    if method in WITH_MODEL:
        settings["draft_model"] = draw(WORDS)
    for name, fits in (("draft_model", WITH_MODEL), ("lookup_tokens", {"ngram"}), ("draft_tokens", {method} - {None})):
        if method not in fits:
            settings.pop(name, None)
    if not good(Profile(kind=known.kind, model="/models/m", settings=settings)):
        settings.pop("batched_tokens")
    return Profile(kind=known.kind, model=draw(WORDS), settings=settings)
