"""Kind `vllm`: vLLM's own OpenAI server, 0.32 and its neighbours."""

from collections.abc import Mapping
from typing import Any, ClassVar

from engines.adapters import fields
from engines.adapters.openai import OpenAIAdapter
from engines.client import Answer, Feature, Operation

# vLLM ignores these older names without a word, which would let unconstrained text through
OLD_GUIDED = {
    "guided_json": "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
}


class VllmAdapter(OpenAIAdapter):
    kind = "vllm"
    title = "vLLM"
    metric_prefixes = ("vllm:",)
    allowed: ClassVar[Mapping[Operation, frozenset[str]]] = {
        Operation.CHAT: fields.VLLM_CHAT,
        Operation.COMPLETION: fields.VLLM_COMPLETION,
    }
    features: ClassVar[Mapping[Feature, Answer]] = {
        Feature.TOKENIZE: Answer.YES,
        Feature.METRICS: Answer.YES,
        Feature.PREFIX_CACHE: Answer.YES,
        Feature.SEED: Answer.YES,
        # needs --scheduling-policy priority and is ignored in silence otherwise
        Feature.PRIORITY: Answer.UNKNOWN,
        Feature.LOGPROBS: Answer.YES,
        Feature.GUIDED: Answer.YES,
        # needs --enable-auto-tool-choice and a parser
        Feature.TOOLS: Answer.UNKNOWN,
        Feature.REASONING: Answer.YES,
        Feature.PENALTIES: Answer.YES,
        Feature.MULTIPLE_CHOICES: Answer.YES,
    }

    def translate(self, operation: Operation, body: Mapping[str, Any]) -> dict[str, Any]:
        out = super().translate(operation, body)
        for old, new in OLD_GUIDED.items():
            value = out.pop(old, None)
            if value is not None:
                out.setdefault("structured_outputs", {new: value})
        return out
