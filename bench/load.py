"""What the load generator can do: `python -m bench.load` (the repository root as working directory).

1. 500 streamed requests a second against an echo engine in a process of its own; the generator has one core. The same
   plan with aiohttp in place of the generator's own HTTP, in the same run.
2. One 120-request plan on the demo engine, measured by the generator and by GuideLLM in turn (bench/load_compare.py).
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from time import monotonic_ns
from typing import Any

import aiohttp
import uvloop

from bench.load_compare import Comparison, compare
from engines.adapters import get_adapter
from engines.client import EngineFailure, GenerateRequest
from engines.http import HttpEngineClient
from gates.load.echo import TOKENS, start
from gates.load.generator import run_phase
from gates.load.plan import Planned, build
from gates.load.samples import Sample, SampleOutcome
from gates.load.target import Answer, EngineTarget, Target
from gates.load.workload import PromptSource
from gates.policy import OpenLoop, Policy, Spacing, Workload
from gates.verdict import GeneratorHealth

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "bench" / "results" / "load.json"
ECHO_PORT, ENGINE_PORT = 8500, 8501
ECHO_CORE, GENERATOR_CORE = 0, 1
RATE, PACE_SECONDS = 500, 0.005
LAG_P99_MS, AGREEMENT = 10.0, 0.05


class AiohttpTarget:
    """The same requests through HttpEngineClient's aiohttp: what the generator's own HTTP is measured against."""

    def __init__(self, client: HttpEngineClient) -> None:
        self._client = client

    async def send(
        self, planned: Planned, messages: Sequence[dict[str, Any]], *, workload: Workload, answer: Answer
    ) -> None:
        answer.sent_ns = monotonic_ns()
        request = GenerateRequest(messages=tuple(messages), max_tokens=planned.max_tokens)
        try:
            async with contextlib.aclosing(self._client.stream(request)) as chunks:
                async for chunk in chunks:
                    if chunk.has_content and answer.first_token_ns is None:
                        answer.first_token_ns = monotonic_ns()
        except EngineFailure as failed:
            answer.end(SampleOutcome.TRANSPORT_ERROR, monotonic_ns(), str(failed))
        answer.end(SampleOutcome.OK, monotonic_ns())

    def close(self) -> None:
        pass


@contextlib.contextmanager
def echo_engine() -> Iterator[None]:
    command = ["taskset", "-c", str(ECHO_CORE), sys.executable, "-m", "bench.load", "--serve-echo"]
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
    finally:
        child.terminate()
        child.wait(15)


async def serve_echo() -> None:
    server = await start(ECHO_PORT, pace=PACE_SECONDS)
    await server.serve_forever()


async def against_echo(seconds: float, *, lean: bool) -> dict[str, Any]:
    policy = Policy(
        name="bench",
        step=None,
        soak=None,
        spike=OpenLoop(rate=RATE, seconds=seconds, spacing=Spacing.POISSON),
        workload=Workload(output_tokens=TOKENS),
        in_flight_cap=2000,
    )
    prompts = PromptSource(policy.workload, 1)
    plan = build(policy, seed=1, prompts=prompts)
    samples: list[Sample] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        client = HttpEngineClient(
            get_adapter("custom"), f"http://127.0.0.1:{ECHO_PORT}", session=session, served_model="echo"
        )
        await answers(client)
        target: Target = EngineTarget(client) if lean else AiohttpTarget(client)
        result = await run_phase(
            plan.phases[0], policy=policy, prompts=prompts, target=target, on_samples=samples.extend
        )
    return figures(result.health, samples)


async def answers(client: HttpEngineClient) -> None:
    for _ in range(100):
        with contextlib.suppress(EngineFailure):
            async with contextlib.aclosing(client.stream(GenerateRequest(messages=({"role": "user"},)))) as chunks:
                async for _chunk in chunks:
                    pass
                return
        await asyncio.sleep(0.1)
    raise TimeoutError("The echo engine did not come up.")


def figures(health: GeneratorHealth, samples: Sequence[Sample]) -> dict[str, Any]:
    good = [sample for sample in samples if sample.outcome is SampleOutcome.OK]
    lags = [(sample.sent_ns - sample.intended_ns) / 1e6 for sample in samples if sample.sent_ns is not None]
    first = [(sample.first_token_ns - sample.intended_ns) / 1e6 for sample in good if sample.first_token_ns]
    whole = [(sample.end_ns - sample.intended_ns) / 1e6 for sample in good if sample.end_ns]
    return {
        "requests": len(samples),
        "answered": len(good),
        "send_lag_p50_ms": rank(lags, 0.5),
        "send_lag_p99_ms": rank(lags, 0.99),
        "send_lag_max_ms": max(lags),
        "loop_lag_p99_ms": (health.loop_lag_p99 or 0) * 1000,
        "cpu_share_of_one_core": health.cpu_share,
        "cpu_us_per_request": (health.cpu_share or 0) / RATE * 1e6,
        "ttft_p50_ms": rank(first, 0.5),
        "ttft_p99_ms": rank(first, 0.99),
        "e2e_p50_ms": rank(whole, 0.5),
        "e2e_p99_ms": rank(whole, 0.99),
        "breaches": list(health.breaches),
    }


def rank(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[ceil(share * len(values)) - 1]


def machine() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("uvloop", "httptools", "orjson", "aiohttp", "torch")},
        "load_at_start": os.getloadavg()[0],
        "niceness": os.nice(0),
    }


def measure_echo(seconds: float) -> dict[str, Any]:
    with echo_engine():
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {GENERATOR_CORE})
        try:
            lean = waiting(lambda: uvloop.run(against_echo(seconds, lean=True)))
            other = waiting(lambda: uvloop.run(against_echo(seconds, lean=False)))
        finally:
            os.sched_setaffinity(0, own)
    setup = {"rate": RATE, "seconds": seconds, "spacing": "poisson", "chunks": TOKENS, "pace_ms": PACE_SECONDS * 1000,
             "engine_answers_after_ms": PACE_SECONDS * TOKENS * 1000}  # fmt: skip
    return {"setup": setup, "own_http": lean, "aiohttp": other}


def waiting(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """With the seconds that the generator could have run but waited for its core: neighbours, not its own work."""
    before = Path("/proc/self/schedstat").read_text().split()
    found = measure()
    after = Path("/proc/self/schedstat").read_text().split()
    return found | {"seconds_waited_for_the_core": (int(after[1]) - int(before[1])) / 1e9}


def go_before(nice: int) -> None:
    """Linux weighs sessions before processes: the session of the benchmark gets the priority too."""
    os.nice(nice)
    group = Path("/proc/self/autogroup")
    if nice and group.exists():
        group.write_text(str(nice))


def show(name: str, found: dict[str, Any]) -> None:
    print(name)
    for key, value in found.items():
        print(f"  {key:32} {value:12.3f}" if isinstance(value, float) else f"  {key:32} {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each echo measurement")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of the comparison; each takes both sides once")
    parser.add_argument("--environment", type=Path, default=Path(tempfile.gettempdir()) / "bench-guidellm",
                        help="where GuideLLM is installed, or will be")  # fmt: skip
    parser.add_argument(
        "--nice", type=int, default=0, help="priority of all processes, where neighbours take the cores"
    )
    parser.add_argument("--only", choices=["echo", "compare"])
    parser.add_argument("--save", action="store_true", help=f"write {RESULT}")
    parser.add_argument("--serve-echo", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_echo:
        uvloop.run(serve_echo())
        return
    go_before(options.nice)
    kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found: dict[str, Any] = {"targets": {"send_lag_p99_ms": LAG_P99_MS, "agreement": AGREEMENT}}
    if options.only != "compare":
        found["echo"] = {"machine": machine(), **measure_echo(options.seconds)}
        show("own HTTP", found["echo"]["own_http"])
        show("aiohttp", found["echo"]["aiohttp"])
    if options.only != "echo":
        asked = Comparison(options.environment, ENGINE_PORT, options.rounds)
        found["guidellm"] = {"machine": machine(), **compare(asked)}
        for name, side in found["guidellm"]["figures"].items():
            show(name, side)
    if options.save:
        RESULT.write_text(json.dumps({**kept, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
