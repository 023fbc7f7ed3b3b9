"""Our attention over the paged cache gives what dense attention over each request alone gives."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from engines.hf import attention
from engines.hf.attention import LEAST_WIDTH, attend, plan
from tests.engines.hf.tiny import save_llama

SIZE = 8
# (tokens of this step, keys from before it) of each request
STEPS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 200)), min_size=1, max_size=9)


def alone(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """(heads, tokens, size) against (key heads, keys, size), the tokens being the last of the keys."""
    tokens, keys = query.shape[1], key.shape[1]
    seen = torch.ones(tokens, keys, dtype=torch.bool).tril(keys - tokens)
    repeat = query.shape[0] // key.shape[0]
    key, value = (each.repeat_interleave(repeat, 0) for each in (key, value))
    return scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=seen)[0]


@settings(deadline=None)
@given(STEPS, st.sampled_from([(4, 2), (2, 2), (6, 1)]), st.randoms(use_true_random=False))
def test_each_request_sees_its_own_keys_up_to_itself_and_no_others(
    step: list[tuple[int, int]], heads: tuple[int, int], random: object
) -> None:
    if all(before == 0 for _, before in step):
        step = [*step, (1, 1)]
    torch.manual_seed(random.getrandbits(32))  # type: ignore[attr-defined]
    many, shared = heads
    queries = [0, *accumulate(tokens for tokens, _ in step)]
    keys = [0, *accumulate(tokens + before for tokens, before in step)]
    query = torch.randn(many, queries[-1], SIZE)
    stored = torch.randn(2, shared, 3000, SIZE)
    read = torch.randperm(3000)[: keys[-1]]
    made = plan(queries, keys, read)
    held, worth = stored[0][:, made.read_index], stored[1][:, made.read_index]
    found = attend(query, held, worth, made, None)[0]
    for i in range(len(step)):
        mine = read[keys[i] : keys[i + 1]]
        wanted = alone(query[:, queries[i] : queries[i + 1]], stored[0][:, mine], stored[1][:, mine])
        torch.testing.assert_close(found[queries[i] : queries[i + 1]], wanted.transpose(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lengths", [[1], [3, 1, 4]])
def test_prompts_without_a_past_are_causal(lengths: list[int]) -> None:
    ends = [0, *accumulate(lengths)]
    query, key, value = torch.randn(4, ends[-1], SIZE), torch.randn(2, ends[-1], SIZE), torch.randn(2, ends[-1], SIZE)
    found = attend(query, key, value, plan(ends, ends, torch.empty(0, dtype=torch.int64)), None)[0]
    for first, last in pairwise(ends):
        wanted = alone(query[:, first:last], key[:, first:last], value[:, first:last])
        torch.testing.assert_close(found[first:last], wanted.transpose(0, 1), atol=1e-5, rtol=1e-5)


def test_rows_are_padded_to_less_than_twice_their_length() -> None:
    """One long conversation makes nobody else's product longer."""
    lengths = [70, 90, 5000, 64, 10]
    keys = [0, *accumulate(lengths)]
    made = plan(list(range(len(keys))), keys, torch.arange(keys[-1]))
    assert made.read_index.numel() < 2 * sum(max(each, LEAST_WIDTH) for each in lengths)
    assert sorted(int(query) for rows in made.rows for query in rows.queries) == [0, 1, 2, 3, 4]


def test_without_a_paged_cache_the_library_answers(tmp_path: object) -> None:
    model = AutoModelForCausalLM.from_pretrained(save_llama(tmp_path), attn_implementation="sdpa")  # type: ignore[arg-type]
    tokens = torch.arange(12)[None] + 3
    attention.install()
    try:
        ours = model(tokens).logits
    finally:
        attention.ALL_ATTENTION_FUNCTIONS.register("sdpa", sdpa_attention_forward)
    torch.testing.assert_close(ours, model(tokens).logits)
