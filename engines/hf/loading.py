"""Brings model and tokenizer into memory and reads off what the server must know about them."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as library_logging
from transformers.utils.quantization_config import Mxfp4Config

from engines.hf.config import EngineConfig

log = logging.getLogger(__name__)

SMALL_MODEL_PARAMETERS = 100_000_000
DEFAULT_CONTEXT = 2048


class ModelUnusable(Exception):
    """The model's folder cannot be served; the message says why."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    model: Any  # transformers gives no usable types for models and tokenizers
    tokenizer: Any
    context: int
    end_tokens: frozenset[int]
    vocabulary: int

    @property
    def fast_tokenizer(self) -> Tokenizer:
        return self.tokenizer.backend_tokenizer  # type: ignore[no-any-return]


def load(config: EngineConfig) -> LoadedModel:
    if not (config.model / "config.json").is_file():
        raise ModelUnusable(f"{config.model} holds no config.json; give the folder of a HuggingFace model")
    if find_spec("psutil") is None:
        raise ModelUnusable("psutil is not installed; without it transformers sees no memory for the cache")
    # A bar is no line of a log.
    library_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = _device(config.device)
    settings = AutoConfig.from_pretrained(config.model, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(config.model, local_files_only=True)
    if not tokenizer.is_fast:
        raise ModelUnusable("the model has no tokenizer.json; only fast tokenizers can be streamed")
    extra = {"quantization_config": Mxfp4Config(dequantize=True)} if _needs_dequantizing(settings, device) else {}
    model: Any = AutoModelForCausalLM.from_pretrained(
        config.model, dtype=_dtype(config.dtype, device), local_files_only=True, **extra
    )
    model = model.to(device).eval()
    _set_threads(config.threads, sum(parameter.numel() for parameter in model.parameters()))
    context = _context(config.max_model_len, settings)
    log.info("loaded %s as %s on %s, context %d", config.model, model.dtype, device, context)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    vocabulary = model.get_input_embeddings().num_embeddings
    return LoadedModel(model, tokenizer, context, _end_tokens(model, tokenizer), vocabulary)


def _device(wanted: str) -> torch.device:
    if wanted != "auto":
        return torch.device(wanted)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _dtype(wanted: str, device: torch.device) -> Any:
    """bfloat16 is the faster one only where the processor multiplies it natively."""
    if wanted != "auto":
        return getattr(torch, wanted)
    if device.type != "cpu":
        return "auto"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    return torch.bfloat16 if native else torch.float32


def _needs_dequantizing(settings: Any, device: torch.device) -> bool:
    """GPT-OSS ships MXFP4 weights whose kernels need a GPU; asking for it avoids a silent fallback."""
    quantization = getattr(settings, "quantization_config", None) or {}
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    return device.type == "cpu" and method == "mxfp4"


def _set_threads(wanted: int | None, parameters: int) -> None:
    """Small matrices lose more to thread hand-over than they win; the second core serves HTTP."""
    small = parameters < SMALL_MODEL_PARAMETERS
    torch.set_num_threads(wanted or (1 if small else os.cpu_count() or 1))


def _context(wanted: int | None, settings: Any) -> int:
    text = settings.get_text_config()
    longest = getattr(text, "max_position_embeddings", None) or DEFAULT_CONTEXT
    return min(wanted, longest) if wanted else int(longest)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The union of what the generation config and the tokenizer call the end of an answer."""
    found: set[int] = set()
    for source in (model.generation_config.eos_token_id, tokenizer.eos_token_id):
        if source is not None:
            found.update(source if isinstance(source, list | tuple) else [source])
    harmony = [tokenizer.convert_tokens_to_ids(name) for name in ("<|return|>", "<|call|>")]
    if "<|channel|>" in tokenizer.get_vocab():
        found.update(token for token in harmony if token is not None)
    return frozenset(token for token in found if token >= 0)
