"""Our HuggingFace engine against vLLM on the demo model, in one run: 32 streams of 64 tokens over HTTP, each alone.

Run: `flock /tmp/heavy.lock .venv/bin/python -m bench.engines` after `make vllm`. Prints a table with the ratio, writes
bench/results/engines.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp

from bench.hf_engine import ROOT, Side, commit, machine, measure, serving, wait_ready
from engines.hf.demo import MODEL_DIR

RESULT = ROOT / "bench" / "results" / "engines.json"
VLLM = ROOT / ".venv-vllm" / "bin" / "python"
GOAL = 0.5
START_SECONDS = 600


@contextlib.contextmanager
def vllm_serving(folder: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(VLLM), "-m", "vllm.entrypoints.cli.main", "serve", str(folder), "--served-model-name", "bench"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", "16384", "--max-num-seqs", "32"]
    command += ["--enforce-eager", "--disable-uvicorn-access-log"]
    surroundings = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=surroundings, stdout=out, stderr=out, start_new_session=True)
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


async def wait_long(base: str, process: subprocess.Popen[bytes]) -> None:
    """vLLM takes a minute or more; a process that died says so at once."""
    async with aiohttp.ClientSession() as session:
        for _ in range(START_SECONDS // 60):
            try:
                return await wait_ready(session, base)
            except SystemExit:
                if process.poll() is not None:
                    raise
    raise SystemExit(f"the engine did not become ready in {START_SECONDS} s")


async def both(base: str, process: subprocess.Popen[bytes], name: str, options: argparse.Namespace) -> list[Side]:
    await wait_long(base, process)
    size = {"tokens": options.tokens, "pid": process.pid}
    await measure(base, streams=options.streams, requests=options.streams, name="warm-up", **size)
    one = await measure(base, streams=1, requests=options.streams // 2, name=f"{name}, one at a time", **size)
    many = await measure(base, streams=options.streams, requests=options.streams * 4, name=name, **size)
    return [one, many]


def show(result: dict[str, object]) -> None:
    print(f"{'side':>24} {'tok/s':>9} {'TTFT p50 ms':>12} {'TTFT p95 ms':>12}")
    for side in result["sides"]:
        figures = (side["tokens_per_second"], side["first_token_p50_ms"], side["first_token_p95_ms"])
        print(f"{side['name']:>24} {figures[0]:>9} {figures[1]:>12} {figures[2]:>12}")
    print(f"HuggingFace engine / vLLM at {result['streams']} streams: {result['ratio']} (goal {GOAL})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8342)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--log", type=Path, default=Path("/tmp/bench-vllm.log"))  # noqa: S108 - vLLM's own words
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    if not VLLM.exists():
        raise SystemExit("There is no vLLM here: run 'make vllm' first.")
    base = f"http://127.0.0.1:{options.port}"
    with serving(MODEL_DIR, options.port, []) as process:
        ours = asyncio.run(both(base, process, "HuggingFace engine", options))
    with vllm_serving(MODEL_DIR, options.port, options.log) as process:
        theirs = asyncio.run(both(base, process, "vLLM", options))
    asked = [str(VLLM), "-c", "import importlib.metadata as m; print(m.version('vllm'))"]
    vllm_version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("torch", "transformers")} | {"vllm": vllm_version},
        "streams": options.streams,
        "tokens": options.tokens,
        "sides": [asdict(side) for side in (*ours, *theirs)],
        "ratio": round(ours[1].tokens_per_second / theirs[1].tokens_per_second, 2),
        "goal": GOAL,
    }
    show(result)
    if not options.no_save:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
