"""Makes, inspects and stops transformers' batching manager: the only place that knows its inner parts."""

from __future__ import annotations

import logging
import time
from typing import Any

from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.model_runner import infer_max_single_request_tokens

from engines.hf import attention
from engines.hf.config import EngineConfig
from engines.hf.loading import LoadedModel
from engines.hf.sampling import SHORTEST_FIRST, sampler_list

# The library's logger writes to the terminal by itself; ours decides where lines go.
_library_log = logging.getLogger("ContinuousBatchingLogger")
_library_log.handlers.clear()
_library_log.propagate = True
_library_log.setLevel(logging.WARNING)

LEAST_CACHE_TOKENS = 16_384
START_SECONDS = 120.0
LEAST_FREE_SHARE = 0.02  # below it the scheduler drops unused prefix blocks


def build_manager(loaded: LoadedModel, config: EngineConfig) -> Any:
    """Blocks until the manager's thread has made its cache. Raises its error when it could not."""
    attention.install()
    blocks = config.num_blocks or default_blocks(loaded.context, config.page_size)
    manager = loaded.model.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0),  # type: ignore[no-untyped-call]
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=config.page_size,
            num_blocks=blocks,
            max_batch_tokens=config.max_batch_tokens,
            max_requests_per_batch=min(config.max_running, config.max_batch_tokens),
            scheduler_type=SHORTEST_FIRST,
            safety_margin=LEAST_FREE_SHARE,
        ),
    )
    manager.logit_processor = sampler_list()
    manager.current_batch = 0
    manager.start()
    deadline = time.monotonic() + START_SECONDS
    while manager.batch_processor is None and manager.is_running() and time.monotonic() < deadline:
        time.sleep(0.005)
    if manager.batch_processor is None:
        error = fatal_error(manager)
        raise RuntimeError(f"the batching manager did not start: {error}") from error
    manager.largest_request = infer_max_single_request_tokens(manager.batch_processor.cache)
    return manager


def default_blocks(context: int, page_size: int) -> int:
    """Room for one full context and half as much for the others, or for many short requests if that is more."""
    return -(-max(context + context // 2, LEAST_CACHE_TOKENS) // page_size)


def stop_manager(manager: Any) -> None:
    manager.stop(block=True, timeout=10.0, hard_stop=True)


def accepts(manager: Any) -> bool:
    """False from the first moment of a fatal error or stop: what is added then is silently dropped."""
    return bool(manager.is_running() and manager.background_thread_status.can_accept_new_requests() is None)


def fatal_error(manager: Any) -> Exception | None:
    return manager.background_thread_status.fatal_error  # type: ignore[no-any-return]


def kv_usage(manager: Any) -> float | None:
    """Share of the cache that live requests hold, 0 to 1; unused prefix blocks count as free."""
    processor = manager.batch_processor
    if processor is None:
        return None
    cache = processor.cache
    total = cache.num_sectors * cache.bytes_per_sector
    idle = sum(
        len(allocator.ledger.cached_blocks) * allocator.bytes_per_block for allocator in cache.cache_allocators.values()
    )
    return float(min(1.0, max(0.0, 1.0 - cache.compute_free_capacity() - idle / total)))
