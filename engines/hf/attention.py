"""Attention over the paged cache on a CPU, each request against its own keys only.

The library's way multiplies every query with the keys of the whole batch and masks what is not its own: at 32 requests
31 of 32 products are thrown away. Here single-token rows of like length share one product, longer ones have their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.generation.continuous_batching.cache import PagedAttentionCache
from transformers.generation.continuous_batching.cache_allocators import FULL_ATTENTION
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

LEAST_WIDTH = 64  # keys; shorter rows are padded to it together


@dataclass(frozen=True, slots=True)
class Rows:
    """Requests with one new token each: `queries` (b,) says where, keys lie padded to `width` from `start` on."""

    queries: torch.Tensor
    start: int
    width: int
    mask: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A request with several new tokens: queries from `first` to `last`, keys from `start` to `stop`."""

    first: int
    last: int
    start: int
    stop: int
    mask: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How one step's queries meet their keys; the same for all layers of a kind."""

    rows: list[Rows]
    chunks: list[Chunk]
    read_index: torch.Tensor


def install() -> None:
    """From now on `sdpa` over a paged cache on a CPU is `attend`; everything else stays the library's."""
    ALL_ATTENTION_FUNCTIONS.register("sdpa", PagedAttention())


class PagedAttention:
    """Keeps the plan of the step that runs: it is made once and used by every layer. One thread calls it."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._made_for: Any = None

    def __call__(
        self, module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, None]:
        """`query` is (1, heads, tokens, size), `key` and `value` (1, key heads, tokens, size); as the library's."""
        cache: Any = kwargs.get("cache")
        if not _ours(module, query, cache, kwargs):
            return sdpa_attention_forward(module, query, key, value, mask, **kwargs)
        allocator = cache.layer_to_allocator[module.layer_idx]
        plan = self._planned(kwargs, allocator.index)
        indices = list(kwargs["read_index"])
        indices[allocator.index] = plan.read_index
        key, value = cache.update(
            key_states=key, value_states=value, layer_idx=module.layer_idx, kwargs={**kwargs, "read_index": indices}
        )
        return attend(query[0], key[0], value[0], plan, kwargs.get("scaling")), None

    def _planned(self, kwargs: dict[str, Any], group: int) -> Plan:
        if self._plan is None or self._made_for is not kwargs["read_index"]:
            queries = kwargs["cu_seq_lens_q"].tolist()
            keys = kwargs["cu_seq_lens_k"][FULL_ATTENTION].tolist()
            self._plan = plan(queries, keys, kwargs["read_index"][group])
            self._made_for = kwargs["read_index"]
        return self._plan


def _ours(module: Any, query: torch.Tensor, cache: Any, kwargs: dict[str, Any]) -> bool:
    return (
        isinstance(cache, PagedAttentionCache)
        and query.device.type == "cpu"
        and kwargs.get("position_bias") is None
        and kwargs.get("block_table") is None
        and cache.layer_to_allocator[module.layer_idx].layer_type == FULL_ATTENTION
    )


def plan(queries: list[int], keys: list[int], read_index: torch.Tensor) -> Plan:
    """From cumulative lengths of queries and keys, one step more than requests, and the cache positions of all keys
    in that order; an empty `read_index` means that no request has keys from before this step."""
    lengths = [
        (queries[i], queries[i + 1], keys[i], keys[i + 1])
        for i in range(len(queries) - 1)
        if queries[i + 1] > queries[i]
    ]
    fresh = read_index.numel() == 0
    single = [] if fresh else [each for each in lengths if each[1] - each[0] == 1]
    several = lengths if fresh else [each for each in lengths if each[1] - each[0] > 1]
    groups: dict[int, list[tuple[int, int, int, int]]] = {}
    for each in single:
        groups.setdefault(max(each[3] - each[2], LEAST_WIDTH).bit_length(), []).append(each)
    rows, chunks, read, at = [], [], [], 0
    for group in groups.values():
        made, positions = _rows(group, read_index, at)
        rows.append(made)
        read.append(positions)
        at += positions.numel()
    for first, last, start, stop in several:
        if fresh:
            at = start
        else:
            read.append(read_index[start:stop])
        chunks.append(Chunk(first, last, at, at + stop - start, _causal(last - first, stop - start)))
        at += stop - start
    return Plan(rows, chunks, torch.cat(read) if read else read_index)


def _rows(group: list[tuple[int, int, int, int]], read_index: torch.Tensor, at: int) -> tuple[Rows, torch.Tensor]:
    starts = torch.tensor([start for _, _, start, _ in group])
    counts = torch.tensor([stop - start for _, _, start, stop in group])
    width = int(counts.max())
    places = torch.arange(width)
    positions = read_index[(starts[:, None] + torch.minimum(places, counts[:, None] - 1)).flatten()]
    over = places >= counts[:, None]
    mask = torch.zeros(over.shape).masked_fill_(over, -torch.inf)[:, None, None, :] if bool(over.any()) else None
    return Rows(torch.tensor([first for first, *_ in group]), at, width, mask), positions


def _causal(queries: int, keys: int) -> torch.Tensor | None:
    """None where the plain causal form serves: no keys from before."""
    return None if queries == keys else torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, step: Plan, scale: float | None
) -> torch.Tensor:
    """`query` (heads, tokens, size), `key` and `value` (key heads, keys in the plan's order, size); returns
    (1, tokens, heads, size). Heads of one key head are taken as that many queries of it, so no key is repeated."""
    heads, tokens, size = query.shape
    shared = key.shape[0]
    out = query.new_empty(tokens, heads, size)
    for rows in step.rows:
        count, stop = len(rows.queries), rows.start + len(rows.queries) * rows.width
        wanted = query[:, rows.queries].transpose(0, 1).reshape(count, shared, heads // shared, size)
        held = key[:, rows.start : stop].view(shared, count, rows.width, size).transpose(0, 1)
        worth = value[:, rows.start : stop].view(shared, count, rows.width, size).transpose(0, 1)
        mask = None if rows.mask is None else rows.mask.to(query.dtype)
        found = scaled_dot_product_attention(wanted, held, worth, attn_mask=mask, scale=scale)
        out[rows.queries] = found.reshape(count, heads, size)
    for chunk in step.chunks:
        found = scaled_dot_product_attention(
            query[None, :, chunk.first : chunk.last], key[None, :, chunk.start : chunk.stop],
            value[None, :, chunk.start : chunk.stop], attn_mask=chunk.mask, is_causal=chunk.mask is None, scale=scale,
            enable_gqa=shared != heads,
        )  # fmt: skip
        out[chunk.first : chunk.last] = found[0].transpose(0, 1)
    return out[None]
