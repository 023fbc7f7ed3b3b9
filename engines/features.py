"""What a request needs of an engine, read from its body. Pure.

FIELDS says which OpenAI field belongs to which feature; a field at its neutral value asks for nothing.
"""

from collections.abc import Mapping
from typing import Any

from engines.client import Feature, Operation

FIELDS: dict[str, Feature] = {
    "seed": Feature.SEED,
    "priority": Feature.PRIORITY,
    "cache_salt": Feature.PREFIX_CACHE,
    "prompt_cache_key": Feature.PREFIX_CACHE,
    "reasoning_effort": Feature.REASONING,
    "include_reasoning": Feature.REASONING,
    "logprobs": Feature.LOGPROBS,
    "top_logprobs": Feature.LOGPROBS,
    "response_format": Feature.GUIDED,
    "structured_outputs": Feature.GUIDED,
    "guided_json": Feature.GUIDED,
    "guided_regex": Feature.GUIDED,
    "guided_choice": Feature.GUIDED,
    "guided_grammar": Feature.GUIDED,
    "tools": Feature.TOOLS,
    "functions": Feature.TOOLS,
    "n": Feature.MULTIPLE_CHOICES,
    "best_of": Feature.MULTIPLE_CHOICES,
    "presence_penalty": Feature.PENALTIES,
    "frequency_penalty": Feature.PENALTIES,
    "repetition_penalty": Feature.PENALTIES,
}
NONE: frozenset[Feature] = frozenset()
NEUTRAL_NUMBERS = {
    "n": 1,
    "best_of": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "repetition_penalty": 1,
    "top_logprobs": 0,
}


def required_features(operation: Operation, body: Mapping[str, Any]) -> frozenset[Feature]:
    """The features that `body` makes use of, best-effort ones included."""
    named = FIELDS.keys() & body.keys()  # most requests name none
    return frozenset(FIELDS[name] for name in named if not is_neutral(operation, name, body[name])) if named else NONE


def is_neutral(operation: Operation, name: str, value: Any) -> bool:
    """True for a value that means the same as leaving the field out."""
    if value is None or value is False or value in ([], {}, ""):
        return True
    if name == "response_format":
        return isinstance(value, Mapping) and value.get("type") == "text"
    if name == "include_reasoning":
        return value is True
    if name == "top_logprobs" and operation is Operation.COMPLETION:
        return False
    return name in NEUTRAL_NUMBERS and not isinstance(value, bool) and value == NEUTRAL_NUMBERS[name]
