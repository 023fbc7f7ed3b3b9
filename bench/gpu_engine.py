"""The HuggingFace engine on a GPU with a model of GPT-OSS-20B's shape and random weights: nothing is downloaded.

Run on a machine with a card: `python -m bench.gpu_engine --save`. 256 tokens in, 128 out, over HTTP; rising numbers of
streams, and one at a time. What counts is the rate at which P95 TTFT stays ≤ 7 s and P95 E2E ≤ 20 s. `--smoke` runs the
same with a tiny shape on the CPU: it shows that the benchmark works, its figures say nothing.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, GptOssConfig, PreTrainedTokenizerFast

from bench.hf_engine import ROOT, commit, machine, wait_ready
from engines.hf import loading
from engines.hf.config import EngineConfig
from engines.hf.runner import serve

RESULT = ROOT / "bench" / "results" / "gpu_engine.json"
INPUT_TOKENS, OUTPUT_TOKENS = 256, 128
TTFT_LIMIT, E2E_LIMIT, GOAL = 7.0, 20.0, 20.0
LEVELS = (8, 32, 64, 128, 256, 384)
SMOKE_LEVELS = (2, 4)
START_SECONDS = 420
SHAPE = {
    "num_hidden_layers": 24, "num_local_experts": 32, "num_experts_per_tok": 4, "vocab_size": 201_088,
    "hidden_size": 2880, "intermediate_size": 2880, "head_dim": 64, "num_attention_heads": 64, "num_key_value_heads": 8,
    "sliding_window": 128, "max_position_embeddings": 8192,
}  # fmt: skip
SMOKE_SHAPE = SHAPE | {
    "num_hidden_layers": 2, "num_local_experts": 4, "num_experts_per_tok": 2, "vocab_size": 1024, "hidden_size": 32,
    "intermediate_size": 32, "head_dim": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Level:
    """Seconds and requests per second of one number of streams."""

    streams: int
    requests: int
    rate: float
    tokens_per_second: float
    ttft_p95: float
    e2e_p95: float

    @property
    def keeps(self) -> bool:
        return self.ttft_p95 <= TTFT_LIMIT and self.e2e_p95 <= E2E_LIMIT


class RandomWeights:
    """In place of AutoModelForCausalLM: the shape from the folder's config, weights drawn on the device itself."""

    @staticmethod
    def from_pretrained(folder: Path, **_how: Any) -> Any:
        torch.manual_seed(0)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_default_device(device)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
        torch.set_default_device("cpu")
        return model


def write_folder(folder: Path, shape: dict[str, int]) -> None:
    """Config and a tokenizer of that vocabulary: one token per byte, the other names are only ever decoded."""
    config = GptOssConfig(**shape, eos_token_id=0, pad_token_id=0)
    config.architectures = ["GptOssForCausalLM"]
    config.save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<|end|>", *letters, *(f"w{number}" for number in range(shape["vocab_size"] - len(letters) - 1))]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=names[0]).save_pretrained(folder)


async def one(session: aiohttp.ClientSession, base: str, number: int) -> tuple[float, float]:
    """Seconds to the first content and to the end of one stream."""
    body = {
        "model": "bench", "prompt": f"{number:08d}".ljust(INPUT_TOKENS, "x"), "max_tokens": OUTPUT_TOKENS,
        "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    began, first, usage = time.perf_counter(), None, None
    async with session.post(f"{base}/v1/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: {"):
                first = first or time.perf_counter() - began
                usage = orjson.loads(line[6:]).get("usage") or usage
    if first is None or usage is None or usage["completion_tokens"] != OUTPUT_TOKENS:
        raise SystemExit(f"a stream ended with {usage}")
    return first, time.perf_counter() - began


async def level(base: str, streams: int, requests: int) -> Level:
    numbers, found = iter(range(requests)), []
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def worker() -> None:
            for number in numbers:
                found.append(await one(session, base, number * 1000 + streams))

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(streams)))
        seconds = time.perf_counter() - began
    firsts, ends = (sorted(values)[ceil(0.95 * requests) - 1] for values in zip(*found, strict=True))
    rate = requests / seconds
    return Level(streams, requests, round(rate, 3), round(rate * OUTPUT_TOKENS, 1), round(firsts, 3), round(ends, 3))


async def run(port: int, levels: tuple[int, ...]) -> tuple[Level, list[Level]]:
    base = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        for attempt in range(START_SECONDS // 60):
            try:
                await wait_ready(session, base)
                break
            except SystemExit:
                if attempt == START_SECONDS // 60 - 1:
                    raise
    await level(base, levels[0], levels[0])
    alone = await level(base, 1, 4)
    return alone, [await level(base, streams, streams * 2) for streams in levels]


def serve_model(folder: Path, port: int, running: int, batch_tokens: int) -> int:
    loading.AutoModelForCausalLM = RandomWeights  # type: ignore[assignment,misc]
    config = EngineConfig(
        model=folder, port=port, served_model_name="bench", max_running=running, max_batch_tokens=batch_tokens,
        num_blocks=-(-running * (INPUT_TOKENS + OUTPUT_TOKENS + 64) // 64) + 64, log_level="warning",
    )  # fmt: skip
    return serve(config)


def report(alone: Level, levels: list[Level]) -> dict[str, Any]:
    best = max((one.rate for one in levels if one.keeps), default=0.0)
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no card: CPU"
    print(f"{card}\n{'streams':>8} {'req/s':>8} {'tok/s':>9} {'TTFT p95 s':>11} {'E2E p95 s':>10}")
    for each in (alone, *levels):
        figures = f"{each.rate:8.2f} {each.tokens_per_second:9.0f} {each.ttft_p95:11.2f} {each.e2e_p95:10.2f}"
        print(f"{each.streams:8} {figures}{'' if each.keeps else '  over the limits'}")
    print(f"best rate that keeps the limits {best:.2f} req/s, goal {GOAL:g}; one at a time {alone.rate:.2f}")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine(), "card": card,
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "setup": {"shape": SHAPE, "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "ttft_p95": TTFT_LIMIT,
                  "e2e_p95": E2E_LIMIT},
        "one_at_a_time": asdict(alone), "levels": [asdict(each) for each in levels], "best_rate": best, "goal": GOAL,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8344)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    levels = SMOKE_LEVELS if options.smoke else LEVELS
    if options.serve:
        sys.exit(serve_model(options.serve, options.port, max(levels), options.batch_tokens))
    if not options.smoke and not torch.cuda.is_available():
        raise SystemExit("There is no GPU here. --smoke shows that the benchmark works.")
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), SMOKE_SHAPE if options.smoke else SHAPE)
        command = [sys.executable, "-m", "bench.gpu_engine", "--serve", name, *sys.argv[1:]]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            result = report(*asyncio.run(run(options.port, levels)))
        finally:
            process.terminate()
            process.wait(timeout=60)
    if options.save and not options.smoke:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
