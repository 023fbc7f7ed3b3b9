"""Local engines: their processes, the pauses between starts, waiting until they are idle."""

import asyncio
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from engines import local
from engines.adapters import get_adapter
from engines.draining import wait_idle
from engines.http import HttpEngineClient
from engines.keeping import LONGEST_PAUSE, keep, pause
from engines.launch.profile import Profile
from engines.local import LocalProcess, NotInstalled
from tests.fakes.engine import serve

PROFILE = Profile(kind="custom", model="/models/m", settings={"max_num_seqs": 4})


def test_our_own_server_starts_with_this_interpreter(tmp_path: Path) -> None:
    command = local.local_command(PROFILE, port=22005, options_file=tmp_path / "o.yaml")
    assert command.argv[:3] == (sys.executable, "manage.py", "hf_engine")
    assert local.words(command)[0] == "env"
    assert "--port" in command.argv
    assert not (tmp_path / "o.yaml").exists()


def test_what_is_not_installed_says_how_to_get_it(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BASE_DIR = tmp_path
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="make vllm"):
        local.local_command(Profile(kind="vllm", model="/m"), port=1, options_file=tmp_path / "o")
    with pytest.raises(NotInstalled, match="NVIDIA GPU"):
        local.local_command(Profile(kind="trtllm", model="/m"), port=1, options_file=tmp_path / "o")


def test_the_options_file_is_there_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "trtllm-serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = local.local_command(Profile(kind="trtllm", model="/m"), port=1, options_file=tmp_path / "o.yaml")
    assert (tmp_path / "o.yaml").read_text() == command.options != ""


def test_a_server_for_everybody_is_reached_at_the_local_address() -> None:
    everybody = Profile(kind="custom", model="/m", settings={"host": "0.0.0.0"})  # noqa: S104
    one = Profile(kind="custom", model="/m", settings={"host": "10.0.0.7"})
    assert [local.url_of(each, 5) for each in (PROFILE, everybody, one)] == [
        "http://127.0.0.1:5", "http://127.0.0.1:5", "http://10.0.0.7:5",
    ]  # fmt: skip


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert local.free_port(taken) != taken
        with pytest.raises(OSError, match="No port is free"):
            local.free_port(taken, tried=1)


async def test_a_process_logs_tells_its_code_and_can_be_stopped(tmp_path: Path) -> None:
    said: list[str] = []
    short = LocalProcess(["sh", "-c", "echo out; echo err >&2; exit 3"], tmp_path / "log", said.append)
    await short.start()
    assert await short.wait() == 3
    assert (tmp_path / "log").read_text() == "out\nerr\n" == "".join(said)
    stubborn = LocalProcess(
        ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 600; done"], tmp_path / "log", said.append
    )
    await stubborn.start()
    while "up" not in "".join(said):
        await asyncio.sleep(0.01)
    assert await stubborn.stop(0.1) == -9


def test_a_log_keeps_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LOG_BYTES", 10)
    for number in range(5):
        local.append(tmp_path / "log", b"line %d\n" % number)
    assert "line 4" in (tmp_path / "log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]


def test_each_failed_start_waits_longer_up_to_a_minute() -> None:
    assert [pause(failures) for failures in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert pause(7) == pause(10_000) == LONGEST_PAUSE


class Script:
    """A process that ends with the next code at once, or runs when the codes are used up."""

    def __init__(self, codes: list[int]) -> None:
        self.codes, self.starts, self.stopped = codes, 0, 0
        self.up = asyncio.Event()

    async def start(self) -> None:
        self.starts += 1

    async def wait(self) -> int:
        if self.codes:
            return self.codes.pop(0)
        self.up.set()
        return await asyncio.get_running_loop().create_future()

    async def stop(self, _seconds: float) -> int:
        self.stopped += 1
        return 0


async def test_an_engine_that_ends_is_started_again_and_drained_at_the_end() -> None:
    process, until, said, drained = Script([1, 9]), asyncio.Event(), [], []
    running = asyncio.ensure_future(
        keep(lambda: process, until=until, before_stop=lambda: drained.append(process.stopped), say=said.append,
             stop_seconds=1, pauses=lambda failures: failures / 1000)
    )  # fmt: skip
    await process.up.wait()
    until.set()
    assert await running == 0
    assert (process.starts, process.stopped, drained) == (3, 1, [0])
    assert ["code 1" in said[0], "code 9" in said[1]] == [True, True]


async def test_a_stop_does_not_wait_for_the_next_start() -> None:
    process, until, said = Script([7]), asyncio.Event(), []
    running = asyncio.ensure_future(
        keep(lambda: process, until=until, before_stop=lambda: said.append("drained"), say=said.append, stop_seconds=1,
             pauses=lambda _: 600)
    )  # fmt: skip
    while not said:
        await asyncio.sleep(0)
    until.set()
    assert await running == 7
    assert "drained" not in said


def metrics(running: int, waiting: int) -> str:
    return f"hf:num_requests_running {running}\nhf:num_requests_waiting {waiting}\n"


@pytest.mark.parametrize(
    ("said", "idle"), [(metrics(0, 0), True), (metrics(2, 1), False), ("nothing of that kind 1\n", False)]
)
async def test_an_engine_is_idle_when_it_says_so_twice(said: str, idle: bool) -> None:
    words: list[str] = []
    with serve() as fake:
        fake.metrics_body = said.encode()
        async with aiohttp.ClientSession() as session:
            client = HttpEngineClient(get_adapter("custom"), fake.url, session=session, served_model="m")
            assert await wait_idle(client, seconds=0.8, settle=0, say=words.append) is idle
    assert words == (["3 requests are still under way."] if "running 2" in said else [])


async def test_a_dead_engine_is_not_waited_for() -> None:
    async with aiohttp.ClientSession() as session:
        client = HttpEngineClient(get_adapter("custom"), "http://127.0.0.1:1", session=session, served_model="m")
        assert await wait_idle(client, seconds=60, settle=0) is False
