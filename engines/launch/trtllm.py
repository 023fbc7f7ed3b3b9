"""Kind `trtllm`: `trtllm-serve` with its PyTorch backend, 1.1 to 1.3. Written from its documentation and sources."""

from collections.abc import Mapping

from engines.launch.kinds import DRAFT_TOKENS, LOOKUP_TOKENS, LaunchKind, Parts, flag, option, put, switch, whole
from engines.launch.settings import Value

METHODS = {"ngram": "NGram", "draft": "Draft_Target", "eagle": "Eagle", "eagle3": "Eagle3"}
SPECULATION = "speculative_config"
FOLDER_NAME = "TensorRT-LLM serves a model under its folder's name; name the folder accordingly."


def executor(parts: Parts, value: Value) -> None:
    """MPI is what it does unless told otherwise."""
    if value == "ray":
        parts.options["orchestrator_type"] = "ray"


def finish(parts: Parts, settings: Mapping[str, Value]) -> None:
    """The console reads load and health from the iteration statistics; without them these stay unknown."""
    parts.options |= {"enable_iter_perf_stats": True, "return_perf_metrics": True}
    if "speculative" not in settings:
        return
    chosen = str(settings["speculative"])
    put(parts.options, (SPECULATION, "decoding_type"), METHODS[chosen])
    put(parts.options, (SPECULATION, "max_draft_len"), whole(settings, "draft_tokens", DRAFT_TOKENS))
    if "draft_model" in settings:
        put(parts.options, (SPECULATION, "speculative_model_dir"), settings["draft_model"])
    if chosen == "ngram":
        longest = whole(settings, "lookup_tokens", LOOKUP_TOKENS)
        put(parts.options, (SPECULATION, "max_matching_ngram_size"), longest)


TRTLLM = LaunchKind(
    kind="trtllm",
    title="TensorRT-LLM",
    program=("trtllm-serve",),
    remote_program=("/usr/local/bin/trtllm-serve",),
    model=lambda path: (path, "--backend", "pytorch"),
    port=8000,
    key_variable="",
    writers={
        "host": flag("--host"),
        "port": flag("--port"),
        "max_num_seqs": flag("--max_batch_size"),
        "batched_tokens": flag("--max_num_tokens"),
        "chunked_prefill": switch("--enable_chunked_prefill"),
        "context_length": flag("--max_seq_len"),
        "memory_share": flag("--kv_cache_free_gpu_memory_fraction"),
        "block_size": option("kv_cache_config", "tokens_per_block"),
        "prefix_caching": option("kv_cache_config", "enable_block_reuse"),
        "kv_dtype": option("kv_cache_config", "dtype"),
        "tensor_parallel": flag("--tp_size"),
        "pipeline_parallel": flag("--pp_size"),
        "executor": executor,
    },
    composed=("speculative", "draft_model", "draft_tokens", "lookup_tokens"),
    finish=finish,
    choices={"kv_dtype": ("auto", "fp8", "nvfp4"), "executor": ("mpi", "ray")},
    defaults={
        "host": "127.0.0.1", "port": "8000", "memory_share": "0.9 of what the weights leave", "block_size": "32",
        "prefix_caching": "on", "kv_dtype": "auto", "chunked_prefill": "off", "tensor_parallel": "1",
        "pipeline_parallel": "1", "executor": "mpi", "speculative": "off", "served_name": "the folder's name",
        "quantisation": "as the checkpoint says", "context_length": "the model's own",
    },
    missing={
        "served_name": FOLDER_NAME,
        "drain_seconds": "TensorRT-LLM has no drain of its own; drain the engine in the console before the stop.",
        "sleep_mode": "TensorRT-LLM of these versions cannot sleep.",
        "queue_limit": "TensorRT-LLM has no queue limit; the console's own limit of requests in flight does it.",
        "queue_tokens": "TensorRT-LLM has no queue limit; the console's own limit of requests in flight does it.",
        "cpu_cache": "TensorRT-LLM runs on NVIDIA GPUs only.",
        "cache_blocks": "TensorRT-LLM sizes its cache by memory; set the memory share.",
        "dtype": "TensorRT-LLM computes in the type of the checkpoint.",
        "quantisation": "TensorRT-LLM takes the quantisation from the checkpoint; name a quantised model.",
        "eager": "TensorRT-LLM chooses its graphs by itself.",
        "threads": "TensorRT-LLM runs on NVIDIA GPUs only.",
        "data_parallel": "TensorRT-LLM has no copies behind one address; start more replicas instead.",
    },
)  # fmt: skip
