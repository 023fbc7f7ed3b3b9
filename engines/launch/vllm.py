"""Kind `vllm`: `vllm serve`, 0.32 and its neighbours."""

import json
from collections.abc import Mapping

from engines.launch.kinds import DRAFT_TOKENS, LOOKUP_TOKENS, LaunchKind, Parts, flag, switch, variable, whole
from engines.launch.settings import Value

METHODS = {"ngram": "ngram", "draft": "draft_model", "eagle": "eagle", "eagle3": "eagle3"}


def sleep_mode(parts: Parts, value: Value) -> None:
    """The addresses to sleep and wake exist in development mode only: keep such a server on a private address."""
    if value:
        parts.arguments.append("--enable-sleep-mode")
        parts.environment["VLLM_SERVER_DEV_MODE"] = "1"


def speculation(parts: Parts, settings: Mapping[str, Value]) -> None:
    if "speculative" not in settings:
        return
    chosen = str(settings["speculative"])
    config: dict[str, object] = {"method": METHODS[chosen]}
    config["num_speculative_tokens"] = whole(settings, "draft_tokens", DRAFT_TOKENS)
    if "draft_model" in settings:
        config["model"] = settings["draft_model"]
    if chosen == "ngram":
        longest = whole(settings, "lookup_tokens", LOOKUP_TOKENS)
        config |= {"prompt_lookup_max": longest, "prompt_lookup_min": min(2, longest)}
    parts.arguments += ["--speculative-config", json.dumps(config, separators=(",", ":"))]


VLLM = LaunchKind(
    kind="vllm",
    title="vLLM",
    program=("vllm", "serve"),
    remote_program=("/opt/vllm/bin/vllm", "serve"),
    model=lambda path: (path,),
    port=8000,
    key_variable="VLLM_API_KEY",
    writers={
        "served_name": flag("--served-model-name"),
        "host": flag("--host"),
        "port": flag("--port"),
        "drain_seconds": flag("--shutdown-timeout"),
        "sleep_mode": sleep_mode,
        "max_num_seqs": flag("--max-num-seqs"),
        "batched_tokens": flag("--max-num-batched-tokens"),
        "queue_limit": flag("--max-num-queued-reqs"),
        "queue_tokens": flag("--max-num-queued-tokens"),
        "chunked_prefill": switch("--enable-chunked-prefill", "--no-enable-chunked-prefill"),
        "context_length": flag("--max-model-len"),
        "memory_share": flag("--gpu-memory-utilization"),
        "cpu_cache": variable("VLLM_CPU_KVCACHE_SPACE"),
        "block_size": flag("--block-size"),
        "prefix_caching": switch("--enable-prefix-caching", "--no-enable-prefix-caching"),
        "kv_dtype": flag("--kv-cache-dtype"),
        "dtype": flag("--dtype"),
        "quantisation": flag("--quantization"),
        "eager": switch("--enforce-eager", "--no-enforce-eager"),
        "tensor_parallel": flag("--tensor-parallel-size"),
        "pipeline_parallel": flag("--pipeline-parallel-size"),
        "data_parallel": flag("--data-parallel-size"),
        "executor": flag("--distributed-executor-backend"),
    },
    composed=("speculative", "draft_model", "draft_tokens", "lookup_tokens"),
    finish=speculation,
    choices={"executor": ("uni", "mp", "ray")},
    defaults={
        "served_name": "the model's path", "host": "127.0.0.1", "port": "8000", "drain_seconds": "0, it aborts",
        "max_num_seqs": "256; 1024 from 70 GB; CPU 128",
        "batched_tokens": "2048; H100 8192; 160 GB 16384",
        "queue_limit": "none", "queue_tokens": "none", "chunked_prefill": "on", "context_length": "the model's own",
        "memory_share": "0.92", "block_size": "128 on a CPU", "prefix_caching": "on", "kv_dtype": "auto",
        "dtype": "auto", "quantisation": "as the checkpoint says", "eager": "off", "sleep_mode": "off",
        "tensor_parallel": "1", "pipeline_parallel": "1", "data_parallel": "1",
        "executor": "by the number of GPUs", "speculative": "off",
    },
    missing={
        "cache_blocks": "vLLM sizes its cache by memory; set the memory share, or the cache on a CPU.",
        "threads": "vLLM binds its threads by the variable VLLM_CPU_OMP_THREADS_BIND.",
    },
    sleep="/sleep?level=1",
    wake="/wake_up",
)  # fmt: skip
