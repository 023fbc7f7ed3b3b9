"""The one base of all engine kinds: the OpenAI-compatible wire. Subclasses state only what differs."""

from collections.abc import Mapping
from typing import Any, ClassVar

from engines.adapters import fields
from engines.adapters.base import Listing, Prepared
from engines.adapters.errors import SENTENCES, failure_from_event, failure_from_response
from engines.client import (
    BEST_EFFORT,
    Answer,
    Chunk,
    EngineFailure,
    Failure,
    FailureKind,
    Feature,
    HealthInput,
    Operation,
    Support,
    Usage,
)
from engines.features import FIELDS, is_neutral
from engines.prometheus import METRICS, Source, read_metrics

MAX_TOKENS_STATED = 1_000_000_000
PATHS = {Operation.CHAT: "/v1/chat/completions", Operation.COMPLETION: "/v1/completions"}
TOOL_COMPANIONS = ("tool_choice", "parallel_tool_calls")
BAD_FINISH = frozenset({"error", "abort"})


class OpenAIAdapter:
    """Defaults of a plain OpenAI-compatible server. FEATURES are answers for features nobody declared."""

    kind: str = "openai"
    title: str = "OpenAI-compatible"
    health_path: str = "/health"
    metrics_path: str = "/metrics"
    checks_model: bool = True
    allowed: ClassVar[Mapping[Operation, frozenset[str]]] = {
        Operation.CHAT: fields.CHAT,
        Operation.COMPLETION: fields.COMPLETION,
    }
    features: ClassVar[Mapping[Feature, Answer]] = {}
    metric_sources: ClassVar[Mapping[str, Source]] = {}
    metric_prefixes: ClassVar[tuple[str, ...]] = ()

    def prepare(
        self, operation: Operation, body: Mapping[str, Any], *, served_model: str, record: Mapping[str, str]
    ) -> Prepared:
        kept: dict[str, Any] = {"model": served_model}
        disabled: set[str] = set()
        dropped: list[str] = []
        for name, value in self.translate(operation, body).items():
            fate = self._fate(operation, name, value, record)
            if fate is _KEEP:
                kept[name] = value
            elif isinstance(fate, Feature):
                disabled.add(fate.value)
            elif fate is _DROP:
                dropped.append(name)
        if "tools" not in kept:
            for name in TOOL_COMPANIONS:
                kept.pop(name, None)
        _set_streaming(kept)
        return Prepared(PATHS[operation], kept, tuple(sorted(disabled)), tuple(dropped))

    def translate(self, operation: Operation, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body in this kind's own field names. `max_completion_tokens` is the new name of `max_tokens`."""
        out = dict(body)
        newer = out.pop("max_completion_tokens", None) if operation is Operation.CHAT else None
        if newer is not None:
            out["max_tokens"] = newer
        return out

    def _fate(self, operation: Operation, name: str, value: Any, record: Mapping[str, str]) -> "str | Feature":
        feature = FIELDS.get(name)
        if name == "model":
            return _SKIP
        if feature is None:
            return _KEEP if name in self.allowed[operation] else _DROP
        has = self.supports(feature, record).answer
        if is_neutral(operation, name, value):
            return _KEEP if has is Answer.YES and name in self.allowed[operation] else _SKIP
        if feature in BEST_EFFORT:
            return _KEEP if has is Answer.YES and name in self.allowed[operation] else feature
        return _KEEP  # never answer as if it had not been asked for: an engine that cannot do it refuses it

    def headers(self, *, api_key: str | None, request_id: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if request_id:
            headers["X-Request-Id"] = request_id
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        return headers

    def parse_response(self, operation: Operation, body: Mapping[str, Any]) -> tuple[Chunk, Usage]:
        if failure := failure_from_event(body):
            raise EngineFailure(failure)
        chunk = _chunk(operation, body, "message")
        if not _choices(body):
            raise EngineFailure(_malformed("The engine's answer holds no choices."))
        if chunk.finish_reason in BAD_FINISH:
            raise EngineFailure(_broke_off(chunk.finish_reason))
        return chunk, chunk.usage or Usage()

    def parse_event(self, operation: Operation, event: Mapping[str, Any]) -> Chunk | Failure:
        if failure := failure_from_event(event):
            return failure
        chunk = _chunk(operation, event, "delta")
        return _broke_off(chunk.finish_reason) if chunk.finish_reason in BAD_FINISH else chunk

    def parse_error(self, *, status: int, content_type: str, body: bytes, retry_after: str | None = None) -> Failure:
        return failure_from_response(status=status, content_type=content_type, body=body, retry_after=retry_after)

    def supports(self, feature: Feature, record: Mapping[str, str]) -> Support:
        stated, _, source = record.get(feature.value, "").partition(":")
        if stated in (Answer.YES, Answer.NO):
            return Support(Answer(stated), source or "declared")
        return Support(self.features.get(feature, Answer.UNKNOWN), "adapter")

    def tokenize_request(self, text: str, *, served_model: str) -> tuple[str, dict[str, Any]] | None:
        return "/tokenize", {"model": served_model, "prompt": text, "add_special_tokens": False}

    def parse_tokens(self, body: Mapping[str, Any]) -> list[int]:
        tokens = body.get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise EngineFailure(_malformed("The engine's answer holds no token list."))
        return tokens

    def parse_models(self, body: Mapping[str, Any]) -> Listing:
        data = body.get("data")
        entries = [entry for entry in data if isinstance(entry, Mapping)] if isinstance(data, list) else []
        names = tuple(entry["id"] for entry in entries if isinstance(entry.get("id"), str))
        length = entries[0].get("max_model_len") if entries else None
        return Listing(names, length if isinstance(length, int) and length > 0 else None)

    def parse_metrics(self, text: str) -> tuple[HealthInput, ...]:
        values = read_metrics(text, prefixes=self.metric_prefixes, sources=self.metric_sources)
        return tuple(HealthInput(name, values.get(name), unit) for name, unit in METRICS.items())


_KEEP, _DROP, _SKIP = "keep", "drop", "skip"


def usage_from(value: Any) -> Usage | None:
    """Counts that can be true; a negative, huge or wrongly typed one is None, as if not stated."""
    if not isinstance(value, Mapping):
        return None
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Usage(_count(value.get("prompt_tokens")), _count(value.get("completion_tokens")), _count(cached))


def _set_streaming(body: dict[str, Any]) -> None:
    body.pop("stream_options", None)
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}


def _count(value: Any) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS_STATED
    return value if good else None


def _choices(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = body.get("choices")
    return [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []


def _chunk(operation: Operation, body: Mapping[str, Any], part: str) -> Chunk:
    """The first choice that carries anything; with n > 1 the others ride along in the raw event."""
    usage = usage_from(body.get("usage"))
    chunk = Chunk(usage=usage)
    for choice in _choices(body):
        chunk = _choice(operation, choice, part, usage)
        if chunk.has_content or chunk.finish_reason:
            break
    return chunk


def _choice(operation: Operation, choice: Mapping[str, Any], part: str, usage: Usage | None) -> Chunk:
    reason = choice.get("finish_reason")
    reason = reason if isinstance(reason, str) else None
    if operation is Operation.COMPLETION:
        return Chunk(_text(choice.get("text")), usage=usage, finish_reason=reason)
    inner = choice.get(part)
    if not isinstance(inner, Mapping):
        return Chunk(usage=usage, finish_reason=reason)
    calls = inner.get("tool_calls")
    return Chunk(
        text=_text(inner.get("content")),
        reasoning=_text(inner.get("reasoning")) or _text(inner.get("reasoning_content")),
        tool_calls=tuple(call for call in calls if isinstance(call, Mapping)) if isinstance(calls, list) else (),
        usage=usage,
        finish_reason=reason,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _malformed(message: str) -> Failure:
    return Failure(FailureKind.MALFORMED, message, 200)


def _broke_off(reason: str | None) -> Failure:
    return Failure(FailureKind.INTERNAL, SENTENCES[FailureKind.INTERNAL], code=reason)
