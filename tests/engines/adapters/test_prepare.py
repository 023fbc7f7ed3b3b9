"""Adapters send only what they list, and name what they strip."""

import pytest

from engines.adapters import ADAPTERS, UnknownKind, get_adapter
from engines.client import Operation

CHAT = {"model": "public", "messages": [{"role": "user", "content": "hi"}]}
DANGEROUS = ["chat_template", "chat_template_kwargs", "kv_transfer_params", "vllm_xargs", "request_id", "user"]


def prepare(kind, body, operation=Operation.CHAT, record=None):
    return ADAPTERS[kind].prepare(operation, body, served_model="served", record=record or {})


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_served_model_replaces_the_public_name(kind):
    assert prepare(kind, CHAT).body["model"] == "served"


@pytest.mark.parametrize("kind", ADAPTERS)
def test_fields_that_steer_the_server_never_reach_it(kind):
    prepared = prepare(kind, {**CHAT, **dict.fromkeys(DANGEROUS, "x"), "made_up": 1})
    assert not {*DANGEROUS, "made_up"} & prepared.body.keys()
    assert {*DANGEROUS, "made_up"} <= set(prepared.dropped)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_stream_always_asks_for_usage_and_a_plain_call_never_does(kind):
    asked = {**CHAT, "stream_options": {"include_usage": False, "continuous_usage_stats": True}}
    assert prepare(kind, {**asked, "stream": True}).body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in prepare(kind, {**asked, "stream": False}).body


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_new_name_of_max_tokens_becomes_the_old_one(kind):
    body = prepare(kind, {**CHAT, "max_completion_tokens": 9, "max_tokens": 5}).body
    assert body["max_tokens"] == 9
    assert "max_completion_tokens" not in body


def test_best_effort_features_that_the_custom_kind_lacks_are_stripped_and_named():
    body = {**CHAT, "seed": 7, "priority": 1, "prompt_cache_key": "k", "reasoning_effort": "low"}
    prepared = prepare("custom", body)
    assert prepared.disabled == ("prefix_cache", "priority", "reasoning", "seed")
    assert not {"seed", "priority", "prompt_cache_key", "reasoning_effort"} & prepared.body.keys()


def test_a_declared_feature_overrides_the_adapters_default():
    assert prepare("custom", {**CHAT, "seed": 7}, record={"seed": "yes"}).body["seed"] == 7
    assert prepare("vllm", {**CHAT, "seed": 7}, record={"seed": "no"}).disabled == ("seed",)


def test_priority_reaches_vllm_only_where_the_record_says_that_it_works():
    assert prepare("vllm", {**CHAT, "priority": 1}).disabled == ("priority",)
    assert prepare("vllm", {**CHAT, "priority": 1}, record={"priority": "yes:detected"}).body["priority"] == 1


def test_a_shaping_field_stays_so_that_the_engine_itself_refuses_it():
    assert prepare("custom", {**CHAT, "logprobs": True, "top_logprobs": 2}).body["logprobs"] is True


@pytest.mark.parametrize("kind", ADAPTERS)
def test_constrained_output_is_never_dropped_in_silence(kind):
    for name in ("structured_outputs", "response_format"):
        body = prepare(kind, {**CHAT, name: {"type": "json_object", "regex": "a"}}).body
        assert body[name] == {"type": "json_object", "regex": "a"}


def test_reasoning_effort_reaches_the_custom_kind_where_it_is_declared():
    body = {**CHAT, "reasoning_effort": "low"}
    assert prepare("custom", body, record={"reasoning": "yes"}).body["reasoning_effort"] == "low"


def test_neutral_values_of_lacking_features_are_left_out_in_silence():
    neutral = {"n": 1, "logprobs": False, "presence_penalty": 0, "tools": [], "tool_choice": "auto",
               "response_format": {"type": "text"}, "seed": None}  # fmt: skip
    prepared = prepare("custom", {**CHAT, **neutral})
    assert not neutral.keys() & prepared.body.keys()
    assert prepared.disabled == ()
    assert prepared.dropped == ()


def test_vllms_forgotten_guided_fields_become_structured_outputs():
    assert prepare("vllm", {**CHAT, "guided_choice": ["a"]}).body["structured_outputs"] == {"choice": ["a"]}


def test_tensorrt_is_told_the_reasoning_effort_because_its_default_differs():
    assert prepare("trtllm", CHAT).body["reasoning_effort"] == "medium"
    assert prepare("trtllm", {**CHAT, "reasoning_effort": "high"}).body["reasoning_effort"] == "high"
    completion = prepare("trtllm", {"prompt": "x"}, Operation.COMPLETION)
    assert completion.body == {"model": "served", "prompt": "x"}


def test_each_operation_has_its_path():
    assert prepare("vllm", CHAT).path == "/v1/chat/completions"
    assert prepare("vllm", {"prompt": "x"}, Operation.COMPLETION).path == "/v1/completions"


def test_the_key_travels_only_as_a_bearer_header():
    headers = get_adapter("vllm").headers(api_key="secret", request_id="r-1")
    assert headers["Authorization"] == "Bearer secret"
    assert headers["X-Request-Id"] == "r-1"
    assert "Authorization" not in get_adapter("vllm").headers(api_key=None, request_id="")


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(UnknownKind, match="sglang"):
        get_adapter("sglang")
