"""What the gateway costs: `python -m bench.gateway` (the repository root as working directory).

Three processes: the gateway alone on core 0; a paced mock engine and this client on core 1. Keys, decisions, outcomes
(saved to SQLite by the recorder's thread), metrics and tracing (1 % sampled, spans ended but sent nowhere) are on.
Direct and through the gateway are measured in one run; results go to bench/results/gateway.json.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

from bench.gateway_parts import CHUNKS, FIRST_SECONDS, KEY, PACE_SECONDS, NonStreamClient, StreamClient

GATEWAY_CORE, CLIENT_CORE = 0, 1
GATEWAY_PORT, ENGINE_PORT = 8440, 8441
CONNECTIONS = 32
RESULTS = Path(__file__).parent / "results" / "gateway.json"
TARGETS = {"added_ttft_p50_ms": 1.5, "cpu_us_per_chunk": 45.0, "non_stream_rps": 4000.0}


@contextlib.contextmanager
def process(core: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.gateway_parts", *arguments]
    child = subprocess.Popen(command)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(15)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"Nothing listens on port {port}.")


async def drive(kind: type[Any], port: int, seconds: float, pid: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    clients = [kind() for _ in range(CONNECTIONS)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
        await asyncio.sleep(PACE_SECONDS / CONNECTIONS)  # spread the streams over the pace
    await asyncio.sleep(1.0)
    for client in clients:
        client.reset()
    began, cpu, own = time.perf_counter(), cpu_seconds(pid), time.process_time()
    await asyncio.sleep(seconds)
    wall, used, own = time.perf_counter() - began, cpu_seconds(pid) - cpu, time.process_time() - own
    for client in clients:
        client.stop()
    errors = sum(client.errors for client in clients)
    assert errors == 0, f"{errors} answers were not what they should be"
    return {
        "wall_seconds": wall,
        "gateway_cpu_seconds": used,
        "client_cpu_share": own / wall,
        "answers": sum(client.answers for client in clients),
        "chunks": sum(client.chunks for client in clients),
        "ttft_ms": [ttft * 1000 for client in clients for ttft in client.ttft],
    }


async def measure(seconds: float) -> dict[str, Any]:
    with (
        process(CLIENT_CORE, "engine", str(ENGINE_PORT)) as engine,
        process(GATEWAY_CORE, "gateway", str(GATEWAY_PORT), str(ENGINE_PORT)) as gateway,
    ):
        await wait_for(ENGINE_PORT)
        await wait_for(GATEWAY_PORT)
        await asyncio.sleep(1.0)
        direct = await drive(StreamClient, ENGINE_PORT, seconds, gateway.pid)
        through = await drive(StreamClient, GATEWAY_PORT, seconds, gateway.pid)
        plain_direct = await drive(NonStreamClient, ENGINE_PORT, seconds, gateway.pid)
        engine_cpu = cpu_seconds(engine.pid)
        plain = await drive(NonStreamClient, GATEWAY_PORT, seconds, gateway.pid)
        engine_cpu = cpu_seconds(engine.pid) - engine_cpu
    return figures(direct, through, plain_direct, plain) | {"engine_cpu_share": engine_cpu / plain["wall_seconds"]}


def figures(
    direct: dict[str, Any], through: dict[str, Any], plain_direct: dict[str, Any], plain: dict[str, Any]
) -> dict[str, Any]:
    before, after = statistics.median(direct["ttft_ms"]), statistics.median(through["ttft_ms"])
    cpu = plain["gateway_cpu_seconds"] / plain["wall_seconds"]
    return {
        "added_ttft_p50_ms": after - before,
        "ttft_p50_direct_ms": before,
        "ttft_p50_through_ms": after,
        "cpu_us_per_chunk": through["gateway_cpu_seconds"] / through["chunks"] * 1e6,
        "chunks": through["chunks"],
        "streams": through["answers"],
        "stream_gateway_cpu_share": through["gateway_cpu_seconds"] / through["wall_seconds"],
        "non_stream_rps": plain["answers"] / plain["wall_seconds"],
        "non_stream_rps_direct": plain_direct["answers"] / plain_direct["wall_seconds"],
        "non_stream_gateway_cpu_share": cpu,
        "non_stream_requests_per_cpu_second": plain["answers"] / plain["gateway_cpu_seconds"],
        "non_stream_client_cpu_share": plain["client_cpu_share"],
    }


def machine() -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("uvicorn", "uvloop", "httptools", "orjson", "prometheus_client",
                                                      "opentelemetry-sdk")},
        "load_at_start": os.getloadavg()[0],
        "setup": {"connections": CONNECTIONS, "chunks_per_stream": CHUNKS, "pace_ms": PACE_SECONDS * 1000,
                  "first_content_ms": FIRST_SECONDS * 1000, "key_length": len(KEY)},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS}")
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured; the medians count")
    options = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    about = machine()
    rounds = [uvloop.run(measure(options.seconds)) for _ in range(options.rounds)]
    found = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(f"{about['cpu']}, Python {about['python']}, commit {about['commit']}")
    for name, value in found.items():
        target = TARGETS.get(name)
        spread = f"{min(one[name] for one in rounds):12.3f} to {max(one[name] for one in rounds):.3f}"
        print(f"{name:42} {value:12.3f} {spread}" + (f"   target {target:g}" if target else ""))
    if options.save:
        RESULTS.parent.mkdir(exist_ok=True)
        stored = {"machine": about, "targets": TARGETS, "results": found, "rounds": rounds}
        RESULTS.write_text(json.dumps(stored, indent=2) + "\n")


if __name__ == "__main__":
    main()
