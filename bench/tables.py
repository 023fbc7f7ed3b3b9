"""Writes docs/measurements.md from bench/results/*.json: `python -m bench.tables`. No figure is typed by hand."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements.md"
RESULTS = ROOT / "bench" / "results"

HEAD = """# Measurements

Written by `python -m bench.tables` from `bench/results/*.json`, the last runs of the benchmarks. The goals are those of
the main job, for two CPU cores. A figure taken while other work ran on the same cores says so by its load.

The virtual machine itself changes speed. Without other work, the gateway of commit `a112154` took 32.5 µs per chunk and
answered 4,882 requests/s on 2026-11-23 at 17:05, 67.1 µs and 4,017 an hour and a half later, and 117 µs and 1,696 on
2026-11-27 at 08:00. Compare figures of one run only, never those of two days.
"""
GOALS_HEAD = ("| figure | goal | measured | |", "|---|---|---|---|")


def row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def goal(name: str, measured: float, wanted: float, *, unit: str = "", at_most: bool = False, digits: int = 0) -> str:
    """One line of a table of goals."""
    good = measured <= wanted if at_most else measured >= wanted
    sign = "≤" if at_most else "≥"
    return row(name, f"{sign} {wanted:g}{unit}", f"{measured:.{digits}f}{unit}", "met" if good else "**not met**")


def versions(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def spread(run: dict[str, Any], name: str) -> str:
    """The lowest and the highest of the rounds."""
    values = [one[name] for one in run["rounds"]]
    return f"{min(values):.0f} to {max(values):.0f}"


def gateway(run: dict[str, Any]) -> list[str]:
    machine, goals, got = run["machine"], run["targets"], run["results"]
    setup = machine["setup"]
    return [
        f"`bench/gateway.py`, {machine['date'][:16].replace('T', ' ')} UTC, commit `{machine['commit'][:7]}`,",
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_at_start']:.2f} before the run,",
        f"Python {machine['python']}, {versions(machine['versions'])}.",
        "",
        f"{setup['connections']} connections against a paced fake engine: first content after",
        f"{setup['first_content_ms']:.0f} ms, then one chunk each {setup['pace_ms']:.0f} ms. The gateway has one core,",
        "client and fake engine share the other. Keys, decisions, outcomes and metrics are on,",
        f"1 % of requests are traced. Medians of {len(run['rounds'])} rounds.",
        "",
        *GOALS_HEAD,
        goal("added TTFT, p50, 32 streams", got["added_ttft_p50_ms"], goals["added_ttft_p50_ms"],
             unit=" ms", at_most=True, digits=2),
        goal("CPU per streamed chunk", got["cpu_us_per_chunk"], goals["cpu_us_per_chunk"],
             unit=" µs", at_most=True, digits=1),
        goal("non-streamed requests per second", got["non_stream_rps"], goals["non_stream_rps"]),
        "",
        f"Range of CPU per chunk {spread(run, 'cpu_us_per_chunk')} µs, of requests per second"
        f" {spread(run, 'non_stream_rps')}.",
        f"Without the gateway: TTFT p50 {got['ttft_p50_direct_ms']:.2f} ms,",
        f"{got['non_stream_rps_direct']:.0f} requests/s.",
    ]  # fmt: skip


def hf_engine(run: dict[str, Any]) -> list[str]:
    machine, goals, busiest = run["machine"], run["goals"], run["sides"][-1]
    return [
        f"`bench/hf_engine.py`, {run['date'][:16].replace('T', ' ')} UTC, commit `{run['commit'][:7]}`,",
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_1m']:.2f}, {versions(run['versions'])}.",
        "",
        f"A model of {run['model']['parameters'] / 1e6:.1f} M parameters ({run['model']['kind']}), streams over HTTP.",
        "",
        row("side", "streams", "requests", "tokens/s", "TTFT p50", "TTFT p95"),
        row("---", "---:", "---:", "---:", "---:", "---:"),
        *map(side, run["sides"]),
        "",
        *GOALS_HEAD,
        goal(f"tokens per second, {busiest['streams']} streams", busiest["tokens_per_second"],
             goals["tokens_per_second"]),
        goal("gain over one at a time", run["gain"], goals["gain"], digits=2),
    ]  # fmt: skip


def side(one: dict[str, Any]) -> str:
    p50, p95 = one["first_token_p50_ms"], one["first_token_p95_ms"]
    figures = (f"{one['tokens_per_second']:.0f}", f"{p50:.1f} ms", f"{p95:.1f} ms")
    return row(one["name"], one["streams"], one["requests"], *figures)


def engines(run: dict[str, Any]) -> list[str]:
    machine = run["machine"]
    return [
        f"`bench/engines.py`, {run['date'][:16].replace('T', ' ')} UTC, commit `{run['commit'][:7]}`,",
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_1m']:.2f}, {versions(run['versions'])}.",
        "",
        f"The demo model, {run['tokens']} tokens a stream over HTTP, each engine alone, one after the other.",
        "",
        row("side", "streams", "requests", "tokens/s", "TTFT p50", "TTFT p95"),
        row("---", "---:", "---:", "---:", "---:", "---:"),
        *map(side, run["sides"]),
        "",
        *GOALS_HEAD,
        goal(f"our tokens per second against vLLM's, {run['streams']} streams", run["ratio"], run["goal"], digits=2),
    ]


def when(machine: dict[str, Any]) -> str:
    return f"{machine['date'][:16].replace('T', ' ')} UTC, commit `{machine['commit']}`"


def load(run: dict[str, Any]) -> list[str]:
    echo, other, goals = run["echo"], run["guidellm"], run["targets"]
    setup, figures = other["setup"], other["figures"]
    names = ("ttft_p50", "ttft_p95", "e2e_p50", "e2e_p95")
    apart = figures["difference"]
    return [
        f"`bench/load.py`, {when(echo['machine'])} (echo), {when(other['machine'])} (GuideLLM).",
        "",
        f"One plan of {setup['requests']} requests, {setup['rate']:g} a second, {setup['input_words']} words in,",
        f"{setup['output_tokens']} tokens out, {setup['rounds']} times on the demo engine, by each side in turn"
        f" ({setup['guidellm']}).",
        "",
        row("side", *names),
        row("---", *("---:" for _ in names)),
        *(row(who, *(f"{figures[who][f'{name}_ms']:.1f} ms" for name in names)) for who in ("ours", "guidellm")),
        row("difference", *(f"{100 * apart[name]:+.1f} %" for name in names)),
        "",
        *GOALS_HEAD,
        goal("send lag p99 at 500 requests/s, generator on one core", echo["own_http"]["send_lag_p99_ms"],
             goals["send_lag_p99_ms"], unit=" ms", at_most=True, digits=1),
        goal("largest difference to GuideLLM", 100 * max(abs(apart[name]) for name in names),
             100 * goals["agreement"], unit=" %", at_most=True, digits=1),
    ]  # fmt: skip


def routing(run: dict[str, Any]) -> list[str]:
    setup, goals, got = run["setup"], run["goals"], run["results"]
    short, long = setup["opening_tokens"]
    return [
        f"`bench/routing.py`, {run['date'][:16].replace('T', ' ')} UTC, commit `{run['commit'][:7]}`.",
        f"The product's own decisions between {setup['replicas']} simulated replicas with room for",
        f"{setup['cache_tokens']:,} cached tokens each; {setup['conversations']:,} conversations of",
        f"{setup['applications']} applications that open with {short:,} to {long:,} tokens of their own. Time is",
        "simulated, only the cost of a decision is this machine's. How much affinity gains",
        "depends on the workload: where few applications are popular, every replica has them cached anyway.",
        "",
        row("workload", "policy", "prefix hits", "most loaded", "TTFT p50", "TTFT p95", "decision"),
        row("---", "---", "---:", "---:", "---:", "---:", "---:"),
        *map(placing, run["sides"]),
        "",
        *GOALS_HEAD,
        goal("prefix hits, affinity against round robin", got["hit_ratio"], goals["hit_ratio"], unit=" ×", digits=2),
        goal("most loaded replica, against the mean", got["most_loaded"], goals["most_loaded"],
             unit=" ×", at_most=True, digits=2),
        goal("one slowed 4 ×: TTFT p95 against round robin, the worst of both policies and workloads",
             got["slow_ttft_ratio"], goals["slow_ttft_ratio"], unit=" ×", at_most=True, digits=2),
    ]  # fmt: skip


def placing(one: dict[str, Any]) -> str:
    most = max(one["most_tokens"], one["most_outstanding"])
    cost = "—" if one["decision_us"] is None else f"{one['decision_us']:.0f} µs"
    times = (f"{one['ttft_p50_ms']:,.0f} ms", f"{one['ttft_p95_ms']:,.0f} ms")
    return row(one["scene"], one["name"], f"{one['hit_rate'] * 100:.0f} %", f"{most:.2f} ×", *times, cost)


def page() -> str:
    runs = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    parts = [HEAD, "## Gateway", "", *gateway(runs["gateway"]), "", "## HuggingFace engine", ""]
    parts += [*hf_engine(runs["hf_engine"]), "", "## Our engine and vLLM", "", *engines(runs["engines"]), ""]
    parts += [
        "## Load generator",
        "",
        *load(runs["load"]),
        "",
        "## Routing between replicas",
        "",
        *routing(runs["routing"]),
        "",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
