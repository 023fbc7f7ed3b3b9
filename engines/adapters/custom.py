"""Kind `custom`: this project's own HuggingFace server (`engines/hf`)."""

from collections.abc import Mapping
from typing import ClassVar

from engines.adapters import fields
from engines.adapters.openai import OpenAIAdapter
from engines.client import Answer, Feature, Operation
from engines.prometheus import Source


class CustomAdapter(OpenAIAdapter):
    kind = "custom"
    title = "Custom (HuggingFace)"
    metric_prefixes = ("hf:",)
    metric_sources: ClassVar[Mapping[str, Source]] = {
        "steps": Source("engine_steps_total", "sum"),
        # made once when the process starts
        "started_at": Source("prompt_tokens_created", "max"),
    }
    allowed: ClassVar[Mapping[Operation, frozenset[str]]] = {
        Operation.CHAT: fields.CUSTOM_CHAT,
        Operation.COMPLETION: fields.CUSTOM_COMPLETION,
    }
    features: ClassVar[Mapping[Feature, Answer]] = {
        Feature.TOKENIZE: Answer.YES,
        Feature.METRICS: Answer.YES,
        Feature.PREFIX_CACHE: Answer.UNKNOWN,
        Feature.SEED: Answer.NO,
        Feature.PRIORITY: Answer.NO,
        Feature.LOGPROBS: Answer.NO,
        Feature.GUIDED: Answer.NO,
        Feature.TOOLS: Answer.NO,
        # honoured where the model's chat template knows it
        Feature.REASONING: Answer.UNKNOWN,
        Feature.PENALTIES: Answer.NO,
        Feature.MULTIPLE_CHOICES: Answer.NO,
    }
