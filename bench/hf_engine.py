"""Throughput of the HuggingFace engine server through HTTP: 32 concurrent streams against one at a time.

Run: `flock /tmp/heavy.lock .venv/bin/python -m bench.hf_engine`. Makes a random 5 M-parameter Llama, serves it in a
process of its own, counts tokens by each stream's usage, prints a table and writes bench/results/hf_engine.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp
import orjson
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "bench" / "results" / "hf_engine.json"
VOCABULARY = 4096
PROMPT = "Why does the operator look at the time to first token before he moves the traffic split?"


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    streams: int
    requests: int
    tokens: int
    events: int
    seconds: float
    tokens_per_second: float
    first_token_p50_ms: float
    first_token_p95_ms: float
    server_cpu_seconds: float


def make_model(folder: Path) -> int:
    """A Llama with random weights and a byte-level tokenizer of the same size; returns the parameter count."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    printable = [chr(code) for code in range(33, 127)]
    merges = [(a, b) for a in printable for b in printable][: VOCABULARY - len(letters) - 1]
    names = ["<|end|>", *letters, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(dict.fromkeys(names))}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=names[0]).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


@contextlib.contextmanager
def serving(folder: Path, port: int, extra: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "engines.hf", "--model", str(folder), "--port", str(port)]
    process = subprocess.Popen([*command, "--served-model-name", "bench", "--log-level", "warning", *extra], cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


async def wait_ready(session: aiohttp.ClientSession, base: str) -> None:
    for _ in range(600):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with session.get(f"{base}/health") as response:
                if response.status == 200:
                    return
        await asyncio.sleep(0.1)
    raise SystemExit("the engine did not become ready in 60 s")


async def one_stream(session: aiohttp.ClientSession, base: str, number: int, tokens: int) -> tuple[int, int, float]:
    """Returns tokens by the server's usage, events received and seconds to the first content."""
    body = {
        "model": "bench",
        "prompt": f"{number} {PROMPT}",
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    start = time.perf_counter()
    first = None
    usage = None
    done = False
    events = 0
    async with session.post(f"{base}/v1/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            events += 1
            first = first or time.perf_counter() - start
            if b'"usage"' in line:
                usage = orjson.loads(line[6:])["usage"]
            done = done or line.startswith(b"data: [DONE]")
    if usage is None or first is None or not done:
        raise SystemExit("a stream ended without usage or [DONE]")
    return usage["completion_tokens"], events, first


async def measure(base: str, *, streams: int, requests: int, tokens: int, pid: int, name: str) -> Side:
    numbers = iter(range(requests))
    results: list[tuple[int, int, float]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            for number in numbers:
                results.append(await one_stream(session, base, number, tokens))

        cpu = cpu_seconds(pid)
        start = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(streams)))
        seconds = time.perf_counter() - start
        cpu = cpu_seconds(pid) - cpu
    firsts = sorted(first * 1000 for _, _, first in results)
    total = sum(count for count, _, _ in results)
    return Side(
        name=name,
        streams=streams,
        requests=requests,
        tokens=total,
        events=sum(events for _, events, _ in results),
        seconds=round(seconds, 3),
        tokens_per_second=round(total / seconds, 1),
        first_token_p50_ms=round(statistics.median(firsts), 1),
        first_token_p95_ms=round(firsts[int(len(firsts) * 0.95) - 1], 1),
        server_cpu_seconds=round(cpu, 2),
    )


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"cpu": name, "cores": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2)}


def commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


async def run(options: argparse.Namespace, parameters: int, pid: int) -> dict[str, object]:
    base = f"http://127.0.0.1:{options.port}"
    async with aiohttp.ClientSession() as session:
        await wait_ready(session, base)
    size = {"tokens": options.tokens, "pid": pid}
    await measure(base, streams=options.streams, requests=options.streams, name="warm-up", **size)
    one = await measure(base, streams=1, requests=options.streams // 2, name="one at a time", **size)
    many = await measure(base, streams=options.streams, requests=options.streams * 4, name="concurrent", **size)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "uvicorn", "starlette")}
        | {"python": platform.python_version()},
        "model": {"kind": "llama, random weights, bfloat16 file", "parameters": parameters},
        "sides": [asdict(one), asdict(many)],
        "gain": round(many.tokens_per_second / one.tokens_per_second, 2),
        "goals": {"tokens_per_second": 1500, "gain": 2.5},
    }


def show(result: dict[str, object]) -> None:
    columns = ("streams", "requests", "tokens", "events", "tokens_per_second", "first_token_p50_ms")
    print(" " * 14, *(f"{column:>18}" for column in columns))
    for side in result["sides"]:
        print(f"{side['name']:>14}", *(f"{side[column]:>18}" for column in columns))
    print(f"gain {result['gain']} (goal 2.5), goal 1500 tok/s, load {result['machine']['load_1m']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8340)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--no-save", action="store_true")
    options, extra = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        parameters = make_model(Path(name))
        with serving(Path(name), options.port, extra) as process:
            result = asyncio.run(run(options, parameters, process.pid))
    show(result)
    if not options.no_save:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
