"""What the server can be told at start: one value object, its command-line options, and their meaning."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

API_KEY_VARIABLE = "HF_ENGINE_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Sizes are in tokens unless the name says blocks; None means: derive it from the model."""

    model: Path
    host: str = "127.0.0.1"
    port: int = 8100
    served_model_name: str | None = None
    api_key: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    threads: int | None = None
    max_model_len: int | None = None
    num_blocks: int | None = None
    page_size: int = 64
    max_batch_tokens: int = 256
    max_running: int = 64
    max_waiting: int = 256
    drain_seconds: float = 30.0
    stall_seconds: float = 120.0
    max_body_bytes: int = 10 * 1024 * 1024
    log_level: str = "info"

    @property
    def name(self) -> str:
        return self.served_model_name or self.model.resolve().name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="folder of a HuggingFace causal LM")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--served-model-name", help="public name; default: the folder's name")
    parser.add_argument("--api-key", help=f"bearer key to ask for; better given as ${API_KEY_VARIABLE}")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    parser.add_argument("--threads", type=int, help="CPU threads of torch; default: 1 below 100 M parameters")
    parser.add_argument("--max-model-len", type=int, help="longest prompt plus answer, in tokens")
    parser.add_argument("--num-blocks", type=int, help="KV cache blocks; default: at least 1.5 full contexts")
    parser.add_argument("--page-size", type=int, default=64, help="tokens per cache block")
    parser.add_argument("--max-batch-tokens", type=int, default=256, help="tokens per step; chunks prefill")
    parser.add_argument("--max-running", type=int, default=64, help="requests generating at once")
    parser.add_argument("--max-waiting", type=int, default=256, help="queued requests before 503")
    parser.add_argument("--drain-seconds", type=float, default=30.0, help="time for streams after SIGTERM")
    parser.add_argument("--stall-seconds", type=float, default=120.0, help="no step for so long is unhealthy")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])


def config_from(options: dict[str, object]) -> EngineConfig:
    """Takes parsed options; ignores names that are not ours, so that Django's own options may be among them."""
    known = {name: options[name] for name in EngineConfig.__dataclass_fields__ if options.get(name) is not None}
    known.setdefault("api_key", os.environ.get(API_KEY_VARIABLE) or None)
    return EngineConfig(**known)  # type: ignore[arg-type]
