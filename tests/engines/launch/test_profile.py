"""What makes a profile: its check, its digest, and what differs between two."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.launch.profile import KINDS, InvalidProfile, Profile, check, diff, digest, from_json, to_json
from engines.launch.settings import BY_NAME, GROUPS, SETTINGS
from engines.models import Engine
from tests.engines.launch.drawn import profiles


def profile(kind: str = "vllm", model: str = "/models/m", **settings: object) -> Profile:
    return Profile(kind=kind, model=model, settings=settings)


@given(profiles())
def test_a_profile_survives_a_trip_through_json(made: Profile) -> None:
    assert from_json(json.loads(json.dumps(to_json(made)))) == made
    assert digest(from_json(json.loads(json.dumps(to_json(made))))) == digest(made)


@given(profiles(), st.randoms())
def test_the_order_of_settings_does_not_matter(made: Profile, random) -> None:
    items = list(made.settings.items())
    random.shuffle(items)
    assert digest(Profile(kind=made.kind, model=made.model, settings=dict(items))) == digest(made)


@given(profiles(), profiles())
def test_two_profiles_differ_exactly_when_their_digests_do(a: Profile, b: Profile) -> None:
    assert (diff(a, b) == []) == (digest(a) == digest(b))
    assert diff(a, a) == []


@given(profiles(), profiles())
def test_a_difference_read_backwards_is_the_difference_the_other_way(a: Profile, b: Profile) -> None:
    assert sorted((name, new, old) for name, old, new in diff(a, b)) == sorted(diff(b, a)) or a.kind != b.kind
    assert {name for name, *_ in diff(a, b)} == {name for name, *_ in diff(b, a)}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_has_each_setting_or_says_why_not(kind) -> None:
    for setting in SETTINGS:
        assert kind.has(setting.name) != (setting.name in kind.missing), setting.name
    assert set(kind.defaults) | set(kind.missing) <= set(BY_NAME)


def test_the_kinds_are_those_of_the_console() -> None:
    assert set(KINDS) <= set(Engine.Kind.values)


def test_every_setting_has_a_group_and_one_sentence() -> None:
    for setting in SETTINGS:
        assert setting.group in GROUPS
        assert setting.sentence.endswith(".")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (profile("custom", quantisation="fp8"), "Quantisation: The HuggingFace server loads a checkpoint as it is"),
        (profile("trtllm", quantisation="fp8"), "Quantisation: TensorRT-LLM takes the quantisation from"),
        (profile("custom", tensor_parallel=2), "one process on one device"),
        (profile(max_num_seqs=0), "Concurrency: a whole number from 1 to 4,096"),
        (profile(max_num_seqs=True), "Concurrency: a whole number"),
        (profile(max_num_seqs=2.5), "Concurrency: a whole number"),
        (profile(memory_share=1.5), "Memory share: a number from 0.05 to 1"),
        (profile(memory_share=float("nan")), "Memory share: a number"),
        (profile(prefix_caching="yes"), "Prefix caching: on or off"),
        (profile(kv_dtype="int3"), "KV cache type: one of auto"),
        (profile("trtllm", kv_dtype="float16"), "KV cache type: one of auto, fp8, nvfp4"),
        (profile(executor="mpi"), "Executor: one of uni, mp, ray"),
        (profile(model="--help"), "The model: one line of text, without a hyphen"),
        (profile(model="a\nb"), "The model: one line"),
        (profile(model=""), "The model: one line"),
        (profile(served_name="-x"), "Served name: one line of text"),
        (profile(speculative="draft"), "Draft model: draft needs the path"),
        (profile(draft_tokens=3), "Guessed tokens: only with speculation by"),
        (profile(speculative="eagle", draft_model="/e", lookup_tokens=3), "Longest match: only with speculation by"),
        (profile(max_num_seqs=64, batched_tokens=32), "Batched tokens: at least the concurrency"),
        (profile(chunked_prefill=False, batched_tokens=512, context_length=4096), "without chunked prefill"),
        (profile(sleep_mode=True, host="0.0.0.0"), "Listens on: sleep mode opens addresses"),  # noqa: S104
        (profile(colour="red"), "There is no setting colour"),
        (profile("ollama"), "Engines of kind ollama are not started from here"),
    ],
)  # fmt: skip
def test_what_cannot_be_launched_is_refused_in_words(made: Profile, words: str) -> None:
    with pytest.raises(InvalidProfile, match=words.replace("(", r"\(")):
        check(made)


def test_a_model_serves_under_its_folders_name_unless_told() -> None:
    assert profile(model="/models/llama-8b/").served_name == "llama-8b"
    assert profile(model="org/name").served_name == "name"
    assert profile(served_name="chat").served_name == "chat"
