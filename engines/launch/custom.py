"""Kind `custom`: this project's HuggingFace server, with the flags of engines.hf.config."""

from engines.launch.kinds import LaunchKind, flag

ALWAYS = "The HuggingFace server always does that where the model allows it"
ONE_PROCESS = "The HuggingFace server is one process on one device"

CUSTOM = LaunchKind(
    kind="custom",
    title="HuggingFace server",
    program=("python", "manage.py", "hf_engine"),
    remote_program=("/opt/engine-console/.venv/bin/python", "manage.py", "hf_engine"),
    model=lambda path: ("--model", path),
    port=8100,
    key_variable="HF_ENGINE_API_KEY",
    writers={
        "served_name": flag("--served-model-name"),
        "host": flag("--host"),
        "port": flag("--port"),
        "drain_seconds": flag("--drain-seconds"),
        "max_num_seqs": flag("--max-running"),
        "batched_tokens": flag("--max-batch-tokens"),
        "queue_limit": flag("--max-waiting"),
        "context_length": flag("--max-model-len"),
        "cache_blocks": flag("--num-blocks"),
        "block_size": flag("--page-size"),
        "dtype": flag("--dtype"),
        "threads": flag("--threads"),
    },
    defaults={
        "served_name": "the folder's name", "host": "127.0.0.1", "port": "8100", "drain_seconds": "30",
        "max_num_seqs": "64", "batched_tokens": "256", "queue_limit": "256", "context_length": "the model's own",
        "cache_blocks": "at least 1.5 full contexts", "block_size": "64", "dtype": "auto",
        "threads": "1 below 100 M parameters, else all cores", "prefix_caching": "on, for full-attention models",
        "chunked_prefill": "on",
    },
    missing={
        "prefix_caching": f"{ALWAYS}; it has no switch.",
        "chunked_prefill": f"{ALWAYS}; it has no switch.",
        "queue_tokens": "The HuggingFace server limits its queue in requests; set the queue limit.",
        "memory_share": "The HuggingFace server sizes its cache in blocks; set the cache blocks.",
        "cpu_cache": "The HuggingFace server sizes its cache in blocks; set the cache blocks.",
        "kv_dtype": "The HuggingFace server keeps its cache in the type that it computes in.",
        "quantisation": "The HuggingFace server loads a checkpoint as it is; name a quantised model instead.",
        "eager": "The HuggingFace server never compiles.",
        "speculative": "The HuggingFace server has no speculative decoding.",
        "draft_model": "The HuggingFace server has no speculative decoding.",
        "draft_tokens": "The HuggingFace server has no speculative decoding.",
        "lookup_tokens": "The HuggingFace server has no speculative decoding.",
        "sleep_mode": "The HuggingFace server cannot sleep; stop it instead.",
        "tensor_parallel": f"{ONE_PROCESS}.",
        "pipeline_parallel": f"{ONE_PROCESS}.",
        "data_parallel": f"{ONE_PROCESS}; start more replicas instead.",
        "executor": f"{ONE_PROCESS}.",
    },
)  # fmt: skip
