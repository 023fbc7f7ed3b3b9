"""engines.features: what a body asks of an engine."""

import pytest

from engines.client import Feature, Operation
from engines.features import required_features


@pytest.mark.parametrize(
    ("body", "features"),
    [
        ({"logprobs": True, "top_logprobs": 2}, {Feature.LOGPROBS}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {Feature.GUIDED}),
        ({"structured_outputs": {"regex": "a"}}, {Feature.GUIDED}),
        ({"guided_json": {"type": "object"}}, {Feature.GUIDED}),
        ({"tools": [{"type": "function"}]}, {Feature.TOOLS}),
        ({"n": 2}, {Feature.MULTIPLE_CHOICES}),
        ({"presence_penalty": 0.5}, {Feature.PENALTIES}),
        ({"seed": 0}, {Feature.SEED}),
        ({"reasoning_effort": "low", "priority": 1, "cache_salt": "x"},
         {Feature.REASONING, Feature.PRIORITY, Feature.PREFIX_CACHE}),
    ],
)  # fmt: skip
def test_a_field_in_use_needs_its_feature(body, features):
    assert required_features(Operation.CHAT, body) == features


@pytest.mark.parametrize(
    "body",
    [{"logprobs": False}, {"logprobs": None}, {"top_logprobs": 0}, {"n": 1}, {"presence_penalty": 0.0},
     {"repetition_penalty": 1.0}, {"response_format": {"type": "text"}}, {"tools": []}, {"temperature": 0}],
)  # fmt: skip
def test_a_neutral_value_needs_nothing(body):
    assert required_features(Operation.CHAT, body) == frozenset()


def test_zero_logprobs_of_a_completion_is_a_request_for_them():
    assert required_features(Operation.COMPLETION, {"logprobs": 0}) == {Feature.LOGPROBS}
