"""Kind `trtllm`: TensorRT-LLM's `trtllm-serve`, 1.0 to 1.3. It refuses unknown fields, so none are sent."""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from engines.adapters import fields
from engines.adapters.openai import OpenAIAdapter
from engines.client import Answer, Feature, HealthInput, Operation
from engines.prometheus import METRICS, Source

# its own default is "low", every other engine's is "medium"; the same request must mean the same work
DEFAULT_EFFORT = "medium"


class TrtllmAdapter(OpenAIAdapter):
    kind = "trtllm"
    title = "TensorRT-LLM"
    checks_model = False  # its chat handler never looks at the name (openai_server.py of 1.3)
    metric_prefixes = ("trtllm_",)
    metric_sources: ClassVar[Mapping[str, Source]] = {
        "kv_use": Source("kv_cache_utilization", "max"),
        "prefix_hits": Source("kv_cache_reused_blocks_total", "sum"),
        "steps": Source("iteration_latency_seconds_count", "sum"),
    }
    allowed: ClassVar[Mapping[Operation, frozenset[str]]] = {
        Operation.CHAT: fields.TRTLLM_CHAT,
        Operation.COMPLETION: fields.TRTLLM_COMPLETION,
    }
    features: ClassVar[Mapping[Feature, Answer]] = {
        Feature.TOKENIZE: Answer.NO,
        Feature.METRICS: Answer.UNKNOWN,
        Feature.PREFIX_CACHE: Answer.UNKNOWN,
        Feature.SEED: Answer.YES,
        Feature.PRIORITY: Answer.NO,
        Feature.LOGPROBS: Answer.YES,
        # needs guided_decoding_backend in the server's options
        Feature.GUIDED: Answer.UNKNOWN,
        # needs --tool_parser
        Feature.TOOLS: Answer.UNKNOWN,
        Feature.REASONING: Answer.YES,
        Feature.PENALTIES: Answer.YES,
        Feature.MULTIPLE_CHOICES: Answer.YES,
    }

    def translate(self, operation: Operation, body: Mapping[str, Any]) -> dict[str, Any]:
        out = super().translate(operation, body)
        if operation is Operation.CHAT and out.get("reasoning_effort") is None:
            out["reasoning_effort"] = DEFAULT_EFFORT
        return out

    def tokenize_request(self, text: str, *, served_model: str) -> tuple[str, dict[str, Any]] | None:
        return None

    def parse_metrics(self, text: str) -> tuple[HealthInput, ...]:
        if not text.lstrip().startswith("["):
            return super().parse_metrics(text)
        values = _iteration_values(text)
        return tuple(HealthInput(name, values.get(name), unit) for name, unit in METRICS.items())


def _iteration_values(text: str) -> dict[str, float | None]:
    """The newest entry of the JSON iteration statistics. An empty list tells nothing, not zero."""
    try:
        entries = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    last = entries[-1] if isinstance(entries, list) and entries and isinstance(entries[-1], Mapping) else {}
    cache = last.get("kvCacheStats")
    cache = cache if isinstance(cache, Mapping) else {}
    used, blocks = _number(cache.get("usedNumBlocks")), _number(cache.get("maxNumBlocks"))
    reused, missed = _number(cache.get("reusedBlocks")), _number(cache.get("missedBlocks"))
    return {
        "running": _number(last.get("numActiveRequests")),
        "waiting": _number(last.get("numQueuedRequests")),
        "kv_use": used / blocks if used is not None and blocks else None,
        "steps": _number(last.get("iter")),
        "prefix_hits": reused,
        "prefix_queries": None if reused is None or missed is None else reused + missed,
    }


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if good else None
