"""Tiny random models with tokenizers made on the spot, and a real server in a thread."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GptOssConfig, GptOssForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engines.hf.config import EngineConfig
from engines.hf.runner import DrainingServer
from engines.hf.service import State

PORTS = range(8300, 8340)
TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
HARMONY = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"]
PLAIN = ["<|start|>", "<|message|>", "<|end|>"]


def byte_tokenizer(specials: list[str]) -> PreTrainedTokenizerFast:
    """One token per byte, so that every character above ASCII is split over tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate([*letters, *specials])}, []))
    tokenizer.add_special_tokens(specials)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", chat_template=TEMPLATE)


def save_llama(folder: Path) -> Path:
    torch.manual_seed(1)
    tokenizer = byte_tokenizer(PLAIN)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.4,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_gpt_oss(folder: Path) -> Path:
    torch.manual_seed(2)
    tokenizer = byte_tokenizer(HARMONY)
    config = GptOssConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=16,
        max_position_embeddings=512,
        initializer_range=0.4,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|return|>"),
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    GptOssForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def free_port() -> int:
    for port in PORTS:
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port between 8300 and 8339")


class ThreadedServer:
    """The real server on loopback, in a thread of the test process."""

    def __init__(self, folder: Path, **options: Any) -> None:
        config = EngineConfig(
            model=folder, port=free_port(), served_model_name="tiny", dtype="float32", log_level="warning", **options
        )
        self.base = f"http://127.0.0.1:{config.port}"
        self._server = DrainingServer(config)
        self.service = self._server.service
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> ThreadedServer:
        self._thread.start()
        deadline = time.monotonic() + 60
        while not (self._server.started and self.service.state is State.READY):
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"the server did not start: {self.service.state}")
            time.sleep(0.02)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
