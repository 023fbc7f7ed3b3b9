"""Kind `custom`: this project's own HuggingFace server (`engines/hf`)."""

from collections.abc import Mapping
from typing import ClassVar

from engines.adapters.openai import OpenAIAdapter
from engines.client import Answer, Feature
from engines.prometheus import Source


class CustomAdapter(OpenAIAdapter):
    kind = "custom"
    title = "Custom (HuggingFace)"
    metric_prefixes = ("hf:",)
    metric_sources: ClassVar[Mapping[str, Source]] = {"steps": Source("engine_steps_total", "sum")}
    features: ClassVar[Mapping[Feature, Answer]] = {
        Feature.TOKENIZE: Answer.YES,
        Feature.METRICS: Answer.YES,
        Feature.PREFIX_CACHE: Answer.UNKNOWN,
        Feature.SEED: Answer.NO,
        Feature.PRIORITY: Answer.NO,
        Feature.LOGPROBS: Answer.NO,
        Feature.GUIDED: Answer.NO,
        Feature.TOOLS: Answer.NO,
        Feature.REASONING: Answer.NO,
        Feature.PENALTIES: Answer.NO,
        Feature.MULTIPLE_CHOICES: Answer.NO,
    }
