"""What an operator can set at an engine's start: name, unit, range and one sentence each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Value = bool | int | float | str
TOKENS = 10_000_000


class Form(StrEnum):
    """How a value is written."""

    WHOLE = "whole"
    SHARE = "share"
    SWITCH = "switch"
    CHOICE = "choice"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`low` and `high` bound numbers. Which kinds have it, and under which name, is in the module of the kind."""

    name: str
    label: str
    group: str
    form: Form
    sentence: str
    unit: str = ""
    low: float = 1
    high: float = TOKENS
    choices: tuple[str, ...] = ()


def _whole(name: str, label: str, group: str, unit: str, sentence: str, *, low: int = 1, high: int = TOKENS) -> Setting:
    return Setting(
        name=name, label=label, group=group, form=Form.WHOLE, unit=unit, sentence=sentence, low=low, high=high
    )


def _switch(name: str, label: str, group: str, sentence: str) -> Setting:
    return Setting(name=name, label=label, group=group, form=Form.SWITCH, sentence=sentence)


def _choice(name: str, label: str, group: str, sentence: str, *choices: str) -> Setting:
    return Setting(name=name, label=label, group=group, form=Form.CHOICE, sentence=sentence, choices=choices)


def _text(name: str, label: str, group: str, sentence: str) -> Setting:
    return Setting(name=name, label=label, group=group, form=Form.TEXT, sentence=sentence)


PLACE, BATCH, CACHE, SPEED, PARALLEL = "Place", "Batching and queue", "Cache and memory", "Arithmetic", "Parallelism"
DRAFTING = "Speculative decoding"
GROUPS = (PLACE, BATCH, CACHE, SPEED, DRAFTING, PARALLEL)

SETTINGS: tuple[Setting, ...] = (
    _text("served_name", "Served name", PLACE, "The model name that requests use; the console registers it."),
    _text("host", "Listens on", PLACE, "Address to listen on; 0.0.0.0 lets other machines in."),
    _whole("port", "Port", PLACE, "", "TCP port of the HTTP server.", high=65535),
    _whole(
        "drain_seconds",
        "Drain time",
        PLACE,
        "s",
        "How long running answers may go on after the stop signal.",
        low=0,
        high=3600,
    ),
    _switch(
        "sleep_mode",
        "Sleep mode",
        PLACE,
        "The engine can give its memory back and take it again without a reload; needs a GPU.",
    ),
    _whole(
        "max_num_seqs",
        "Concurrency",
        BATCH,
        "requests",
        "Requests that generate at once: more raises throughput and the time per token, fewer makes requests wait.",
        high=4096,
    ),
    _whole(
        "batched_tokens",
        "Batched tokens",
        BATCH,
        "tokens",
        "Tokens of one step, prompts and answers: more shortens TTFT of long prompts and lengthens single steps.",
    ),
    _whole(
        "queue_limit",
        "Queue limit",
        BATCH,
        "requests",
        "Requests that may wait; the next one is refused with 503 instead of getting a late answer.",
        high=100_000,
    ),
    _whole(
        "queue_tokens", "Queue limit in tokens", BATCH, "tokens", "The same limit, counted in waiting prompt tokens."
    ),
    _switch(
        "chunked_prefill",
        "Chunked prefill",
        BATCH,
        "Long prompts are computed in pieces between the tokens of running answers, which then do not stall.",
    ),
    _whole(
        "context_length", "Context length", CACHE, "tokens", "Longest prompt plus answer; shorter leaves room for more."
    ),
    Setting(
        name="memory_share",
        label="Memory share",
        group=CACHE,
        form=Form.SHARE,
        low=0.05,
        high=1,
        sentence="Share of the GPU's memory for weights and cache, for TensorRT-LLM of what is left for the cache.",
    ),
    _whole("cpu_cache", "Cache on a CPU", CACHE, "GiB", "KV cache in main memory, where there is no GPU.", high=4096),
    _whole("cache_blocks", "Cache blocks", CACHE, "blocks", "KV cache blocks; unset is at least 1.5 full contexts."),
    _whole(
        "block_size",
        "Block size",
        CACHE,
        "tokens",
        "Tokens of one cache block; shared prefixes are found in whole blocks.",
        high=4096,
    ),
    _switch(
        "prefix_caching", "Prefix caching", CACHE, "Prompts with a known beginning skip its computation: shorter TTFT."
    ),
    _choice(
        "kv_dtype",
        "KV cache type",
        CACHE,
        "Number format of the cache; FP8 holds twice the tokens of 16 bits.",
        "auto",
        "float16",
        "bfloat16",
        "fp8",
        "fp8_e4m3",
        "fp8_e5m2",
        "nvfp4",
    ),
    _choice(
        "dtype",
        "Weights and activations",
        SPEED,
        "Number format to compute in.",
        "auto",
        "float32",
        "bfloat16",
        "float16",
    ),
    _choice(
        "quantisation",
        "Quantisation",
        SPEED,
        "Smaller weights: less memory, faster decoding where the hardware has the format, slightly different answers.",
        "fp8",
        "fp8_per_tensor",
        "fp8_per_block",
        "int8_per_channel_weight_only",
        "awq",
        "gptq",
        "compressed-tensors",
        "modelopt",
        "modelopt_fp4",
        "mxfp4",
        "nvfp4_per_token",
    ),
    _switch("eager", "Eager execution", SPEED, "No compiling and no graphs: starts sooner, runs slower."),
    _whole("threads", "Threads", SPEED, "", "CPU threads that compute.", high=1024),
    _choice(
        "speculative",
        "Speculation",
        DRAFTING,
        "Several tokens are guessed and checked in one step: faster at low load, slower when the batch is full.",
        "ngram",
        "draft",
        "eagle",
        "eagle3",
    ),
    _text("draft_model", "Draft model", DRAFTING, "Path of the small model or EAGLE head that guesses."),
    _whole("draft_tokens", "Guessed tokens", DRAFTING, "tokens", "Tokens guessed per step; 4 unless set.", high=64),
    _whole(
        "lookup_tokens",
        "Longest match",
        DRAFTING,
        "tokens",
        "Longest piece of the prompt that n-gram guessing looks for; 4 unless set.",
        high=64,
    ),
    _whole(
        "tensor_parallel",
        "Tensor parallel",
        PARALLEL,
        "GPUs",
        "GPUs that share every layer: shorter steps, more traffic between them.",
        high=1024,
    ),
    _whole(
        "pipeline_parallel",
        "Pipeline parallel",
        PARALLEL,
        "stages",
        "Groups of layers one after the other: for models larger than one machine.",
        high=1024,
    ),
    _whole(
        "data_parallel",
        "Data parallel",
        PARALLEL,
        "copies",
        "Copies of the model behind one address: throughput, at the same latency.",
        high=1024,
    ),
    _choice(
        "executor", "Executor", PARALLEL, "What starts the workers; Ray spans machines.", "uni", "mp", "mpi", "ray"
    ),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
