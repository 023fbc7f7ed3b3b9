"""The process itself: loading, draining on SIGTERM, refusing to start on a folder that holds no model."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.engines.hf.tiny import free_port
from tests.engines.hf.wire import chat_body, post

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def process(llama_folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    command = [sys.executable, "-m", "engines.hf", "--model", str(llama_folder), "--port", str(port)]
    child = subprocess.Popen([*command, "--served-model-name", "tiny"], cwd=ROOT, stderr=subprocess.PIPE)
    yield child, f"http://127.0.0.1:{port}"
    child.kill()
    child.communicate(timeout=10)


async def wait_ready(client: aiohttp.ClientSession) -> set[int]:
    """Returns the statuses seen on the way."""
    seen = set()
    for _ in range(600):
        try:
            async with client.get("/health") as response:
                seen.add(response.status)
                if response.status == 200:
                    return seen
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.05)
    pytest.fail("the engine did not become ready in 30 s")


async def test_sigterm_lets_streams_end_and_refuses_new_requests(
    process: tuple[subprocess.Popen[bytes], str],
) -> None:
    child, base = process
    async with aiohttp.ClientSession(base) as client:
        assert await wait_ready(client) <= {503, 200}
        body = chat_body(max_tokens=1500, stream=True)
        async with client.post("/v1/chat/completions", json=body) as response:
            await response.content.readline()
            child.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            async with client.get("/health") as health:
                assert (health.status, await health.json()) == (503, {"status": "draining"})
            async with client.post("/v1/chat/completions", json=chat_body()) as refused:
                assert refused.status == 503
                assert int(refused.headers["retry-after"]) > 0
                assert "draining" in (await refused.json())["error"]["message"]
            text = await response.text()
    assert text.endswith("data: [DONE]\n\n")
    assert await asyncio.to_thread(child.wait, 15) == 0


async def test_while_loading_health_is_503_and_requests_are_refused(
    process: tuple[subprocess.Popen[bytes], str],
) -> None:
    _, base = process
    async with aiohttp.ClientSession(base) as client:
        for _ in range(600):
            try:
                status, body = await post(client, "/v1/chat/completions", chat_body())
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)
                continue
            assert status in (200, 503)
            if status == 200:
                return
            assert body["error"]["code"] == "overloaded"


def test_a_folder_without_a_model_ends_the_process_with_a_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engines.hf", "--model", str(tmp_path), "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "holds no config.json" in done.stderr
