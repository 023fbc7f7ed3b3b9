"""The second opinion of bench/load.py: one plan on the demo engine, measured by the generator and by GuideLLM.

Each measurement has a freshly started engine, so that neither side finds the other's prompts in the cache. GuideLLM
lives in an environment of its own, made here when it is missing. Percentiles of both sides are nearest ranks of the
single requests, never a tool's own summary.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil
from pathlib import Path
from time import sleep
from typing import Any

import aiohttp
import uvloop

from engines.adapters import get_adapter
from engines.http import HttpEngineClient
from gates.load.generator import run_phase, warm_up
from gates.load.plan import PhasePlan, build
from gates.load.samples import Sample, SampleOutcome
from gates.load.target import EngineTarget
from gates.load.workload import PromptSource
from gates.policy import OpenLoop, Policy, Workload

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "engines" / "hf" / "demo" / "model"
GUIDELLM = "guidellm==0.8.1"
# Long enough that the few milliseconds which a client itself adds are small beside what the engine takes, and rare
# enough that no request waits for another: a queue would turn small differences of the two schedules into large ones.
REQUESTS, RATE, INPUT_WORDS, OUTPUT_TOKENS = 120, 1.0, 500, 64
ENGINE_CORE, CLIENT_CORE = "0", "1"
SHARES = {"p50": 0.50, "p95": 0.95}
DEFINITIONS = {
    "ttft": "ours: first_token_ns - sent_ns; GuideLLM: first_token_iteration - request_start. Both begin when the "
    "request is written to an open connection and end at the first chunk with text, not at a role chunk",
    "e2e": "ours: end_ns - sent_ns; GuideLLM: request_end - request_start. Both end when the stream is over",
    "percentile": "nearest rank over the single requests of both sides; GuideLLM's own summary is not used",
    "prompts": "the same 120 texts in the same order; GuideLLM sends each as one text part, max_completion_tokens and "
    "ignore_eos, we send a string, max_tokens and ignore_eos: the engine sees the same tokens",
    "schedule": f"constant {RATE:g} a second on both sides",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`environment` holds GuideLLM, or will."""

    environment: Path
    port: int
    rounds: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Timing:
    """One answered request, in seconds from its sending."""

    ttft: float
    e2e: float
    input_tokens: int | None
    output_tokens: int | None


POLICY = Policy(
    name="compare",
    step=None,
    soak=None,
    spike=OpenLoop(rate=RATE, seconds=REQUESTS / RATE),
    workload=Workload(source="synthetic", input_tokens=INPUT_WORDS, output_tokens=OUTPUT_TOKENS, ignore_eos=True),
)


def compare(asked: Comparison) -> dict[str, Any]:
    """The sides take turns, in the opposite order in every second round."""
    install(asked.environment)
    sides: dict[str, list[Timing]] = {"ours": [], "guidellm": []}
    rounds = []
    for number in range(asked.rounds):
        prompts = PromptSource(POLICY.workload, number)
        plan = build(POLICY, seed=number, prompts=prompts)
        found: dict[str, list[Timing]] = {}
        for name in ("ours", "guidellm") if number % 2 == 0 else ("guidellm", "ours"):
            with engine(asked):
                uvloop.run(warm(asked, prompts))
                phase = plan.phases[0]
                found[name] = uvloop.run(ours(asked, phase)) if name == "ours" else guidellm(asked, phase)
            sides[name] += found[name]
        rounds.append({"plan_digest": plan.digest, **differences(found)})
    figures = {name: summary(timings) for name, timings in sides.items()}
    return {
        "setup": {"requests": REQUESTS, "rate": RATE, "input_words": INPUT_WORDS, "output_tokens": OUTPUT_TOKENS,
                  "rounds": asked.rounds, "guidellm": GUIDELLM, "model": str(MODEL.relative_to(ROOT))},
        "definitions": DEFINITIONS,
        "figures": figures | {"difference": differences(sides)},
        "rounds": rounds,
    }  # fmt: skip


def install(environment: Path) -> None:
    """Its torch is pinned to ours: the newest would bring gigabytes of CUDA."""
    tool = environment / "bin" / "guidellm"
    if tool.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    torch = f"torch=={version('torch').partition('+')[0]}"
    subprocess.run([str(environment / "bin" / "pip"), "install", "--quiet", GUIDELLM, torch], check=True)


@contextlib.contextmanager
def engine(asked: Comparison) -> Iterator[None]:
    command = ["taskset", "-c", ENGINE_CORE, sys.executable, "-m", "engines.hf", "--model", str(MODEL), "--port",
               str(asked.port), "--served-model-name", "demo", "--log-level", "warning"]  # fmt: skip
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{asked.url}/health", timeout=2):  # noqa: S310
                break
            sleep(0.2)
        yield
    finally:
        child.terminate()
        child.wait(60)


async def warm(asked: Comparison, prompts: PromptSource) -> None:
    async with aiohttp.ClientSession() as session:
        target = EngineTarget(client(asked, session))
        await warm_up(POLICY, prompts=prompts, target=target, seed=0)
        target.close()


async def ours(asked: Comparison, phase: PhasePlan) -> list[Timing]:
    samples: list[Sample] = []
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    try:
        async with aiohttp.ClientSession() as session:
            result = await run_phase(
                phase, policy=POLICY, prompts=phase.prompts, target=EngineTarget(client(asked, session)),
                on_samples=samples.extend,
            )  # fmt: skip
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    print("generator:", "fit" if not result.health.breaches else " ".join(result.health.breaches))
    failed = [f"{sample.outcome} {sample.error}" for sample in samples if sample.outcome is not SampleOutcome.OK]
    assert not failed, f"the demo engine failed {len(failed)} requests, first: {failed[0]}"
    return [
        Timing(
            ttft=((sample.first_token_ns or 0) - (sample.sent_ns or 0)) / 1e9,
            e2e=((sample.end_ns or 0) - (sample.sent_ns or 0)) / 1e9,
            input_tokens=sample.input_tokens,
            output_tokens=sample.output_tokens,
        )
        for sample in samples
    ]


def client(asked: Comparison, session: aiohttp.ClientSession) -> HttpEngineClient:
    return HttpEngineClient(get_adapter("custom"), asked.url, session=session, served_model="demo")


def guidellm(asked: Comparison, phase: PhasePlan) -> list[Timing]:
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "prompts.jsonl", Path(folder) / "out.json"
        messages = [phase.prompts.messages(item.prompt_id)[0]["content"] for item in phase.requests]
        rows = [{"prompt": text, "output_tokens_count": OUTPUT_TOKENS} for text in messages]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [
            "taskset", "-c", CLIENT_CORE, str(asked.environment / "bin" / "guidellm"), "run",
            "--backend", f"kind=openai_http,target={asked.url},model=demo,request_format=/v1/chat/completions",
            "--profile", f"kind=constant,rate={RATE}", "--constraint", f"kind=max_requests,count={REQUESTS}",
            "--tokenizer", f"kind=huggingface_auto,model={MODEL}", "--data", f"kind=json_file,path={data}",
            "--output", f"kind=json,path={out}", "--disable-console",
        ]  # fmt: skip
        # it has one core, as our generator has: ten worker processes would wait for each other there
        home = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": folder, "TOKENIZERS_PARALLELISM": "false",
                "GUIDELLM__MAX_WORKER_PROCESSES": "1"}  # fmt: skip
        subprocess.run(command, check=True, env=home, timeout=300, cwd=folder)
        requests = json.loads(out.read_text())["benchmarks"][0]["requests"]
    # it stops when its count is reached, now and then with the last request still under way
    assert len(requests["successful"]) >= REQUESTS - 2, f"GuideLLM finished {len(requests['successful'])} requests"
    return [_theirs(row) for row in requests["successful"]]


def _theirs(row: dict[str, Any]) -> Timing:
    times = row["info"]["timings"]
    return Timing(
        ttft=times["first_token_iteration"] - times["request_start"],
        e2e=times["request_end"] - times["request_start"],
        input_tokens=row["input_metrics"]["total_tokens"],
        output_tokens=row["output_metrics"]["total_tokens"],
    )


def summary(timings: Sequence[Timing]) -> dict[str, Any]:
    found: dict[str, Any] = {"requests": len(timings)}
    for metric in ("ttft", "e2e"):
        values = sorted(getattr(timing, metric) for timing in timings)
        for name, share in SHARES.items():
            found[f"{metric}_{name}_ms"] = values[ceil(share * len(values)) - 1] * 1000
    for metric in ("input_tokens", "output_tokens"):
        found[metric] = sum(getattr(timing, metric) or 0 for timing in timings)
    return found


def differences(sides: dict[str, list[Timing]]) -> dict[str, float]:
    """(ours - GuideLLM's) / GuideLLM's, of each percentile."""
    own, theirs = summary(sides["ours"]), summary(sides["guidellm"])
    return {name.removesuffix("_ms"): (own[name] - theirs[name]) / theirs[name] for name in own if name.endswith("_ms")}
