"""Our two parts inside the manager's step: how the next token is drawn, and who is prefilled first."""

from __future__ import annotations

from typing import Any

import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import RequestStatus
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler
from transformers.generation.logits_process import LogitsProcessorList

PREFILL_TOKENS_PER_SECOND = 2000.0
NUCLEUS_CANDIDATES = 256
SHORTEST_FIRST = "shortest_first"


class Sampler(ContinuousBatchingLogitsProcessor):
    """Draws one token per row and marks it as the row's maximum, which the manager's argmax then takes.

    The library's own per-request warpers sort the whole vocabulary three times a step for every request, greedy ones
    included; that halves the throughput of a small model. Rows at temperature 0 pass here untouched.
    """

    supported_kwargs: dict[str, type] = {"temperature": float, "top_k": int, "top_p": float}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._rows: list[tuple[int, float, int, float]] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        self._rows = []
        for row, request in enumerate(requests_with_new_token):
            wish = request.state.logit_processor_kwargs
            if wish.get("temperature", 0.0) > 0:
                self._rows.append((row, wish["temperature"], wish.get("top_k", 0), wish.get("top_p", 1.0)))
        return torch.zeros(len(requests_with_new_token), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> Any:
        if not self._rows:
            return scores
        rows, temperatures, top_ks, top_ps = zip(*self._rows, strict=True)
        index = torch.tensor(rows, device=scores.device)
        tokens = draw(
            scores[index],
            temperatures=torch.tensor(temperatures, device=scores.device),
            top_ks=top_ks,
            top_ps=torch.tensor(top_ps, device=scores.device),
        )
        scores[index, tokens] = torch.inf
        return scores


def draw(
    scores: torch.Tensor, *, temperatures: torch.Tensor, top_ks: tuple[int, ...], top_ps: torch.Tensor
) -> torch.Tensor:
    """One token id per row; top_k 0 and top_p 1 mean no limit."""
    scaled = scores / temperatures.unsqueeze(-1)
    vocabulary = scaled.shape[-1]
    limits = torch.tensor([min(k, vocabulary) if k > 0 else vocabulary for k in top_ks], device=scores.device)
    if int(limits.min()) == vocabulary and bool((top_ps >= 1.0).all()):
        return torch.multinomial(scaled.softmax(-1), 1).squeeze(-1)
    values, tokens = _candidates(scaled, limits, top_ps)
    ranks = torch.arange(values.shape[-1], device=scores.device)
    values = values.masked_fill(ranks >= limits.unsqueeze(-1), -torch.inf)
    odds = values.softmax(-1)
    before = odds.cumsum(-1) - odds
    odds = odds.masked_fill((before >= top_ps.unsqueeze(-1)) & (ranks > 0), 0.0)
    choice = torch.multinomial(odds, 1)
    return tokens.gather(-1, choice).squeeze(-1)


def _candidates(scaled: torch.Tensor, limits: torch.Tensor, top_ps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The best-scored tokens, best first: few when they certainly hold each row's choice, else all of them."""
    count = min(NUCLEUS_CANDIDATES, scaled.shape[-1])
    values, tokens = scaled.topk(count, dim=-1)
    held = (values.logsumexp(-1) - scaled.logsumexp(-1)).exp()
    enough = (limits <= count) | ((top_ps < 1.0) & (held >= top_ps) & (limits == scaled.shape[-1]))
    if bool(enough.all()):
        return values, tokens
    ordered = scaled.sort(dim=-1, descending=True)
    return ordered.values, ordered.indices


def sampler_list() -> ContinuousBatchingLogitsProcessorList:
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([Sampler()]))
    processors.tensors_required = 1
    return processors


class ShortestFirstScheduler(FIFOScheduler):
    """Decoding first, then prefills by expected end: arrival plus remaining work, so a 16,384-token prompt delays
    nobody for long and is itself never starved. Also counts the prompt tokens that the prefix cache spared."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spared_tokens: dict[str, int] = {}

    def _infer_request_tokens(self, state: Any, request_ids_to_remove_from_waiting: set[str]) -> list[int]:
        before = state.position_offset
        tokens: list[int] = super()._infer_request_tokens(state, request_ids_to_remove_from_waiting)
        if state.position_offset > before:
            self.spared_tokens[state.request_id] = state.position_offset - before
        return tokens

    def _process_candidates(self, candidates: list[Any], *args: Any, **kwargs: Any) -> Any:
        ordered = sorted(candidates, key=_expected_end)
        return super()._process_candidates(ordered, *args, **kwargs)


def _expected_end(state: Any) -> tuple[bool, float]:
    if state.status == RequestStatus.DECODING:
        return (False, 0.0)
    work: float = len(state.remaining_prefill_tokens) / PREFILL_TOKENS_PER_SECOND
    return (True, state.created_time + work)


SCHEDULER_MAPPING[SHORTEST_FIRST] = ShortestFirstScheduler
