"""A real supervisord with nothing to run: programs join and leave it while it runs."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console import processes, supervise
from console.processes import Process
from console.supervise import NoSupervisor, Supervisor

NAME = "launched-sleeper"


@pytest.fixture
def folder(settings) -> Iterator[Path]:
    """A short path: Unix sockets have a limit."""
    with tempfile.TemporaryDirectory(prefix="sv ") as name:
        settings.DATA_DIR = Path(name)
        yield Path(name)


@pytest.fixture
def supervisor(folder: Path) -> Iterator[Supervisor]:
    config = processes.run_dir() / "supervisord.conf"
    config.write_text(processes.supervisor_config([]))
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until(lambda: supervise.running() is not None)
        yield Supervisor()
    finally:
        child.terminate()
        output = child.communicate(timeout=20)[0].decode()
    assert "No file matches" not in output


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not become true in 20 s"
        time.sleep(0.05)


def sleeper(script: str = "echo hello; exec sleep 600", **how: object) -> Process:
    return Process(name=NAME, command=("sh", "-c", script), log=supervise.log_of(NAME), **how)


def test_nothing_runs_without_a_supervisor(folder: Path) -> None:
    assert supervise.running() is None
    processes.socket_path().touch()
    with pytest.raises(NoSupervisor):
        Supervisor().states()


def test_a_program_joins_logs_and_leaves(supervisor: Supervisor) -> None:
    assert supervisor.states() == {}
    supervisor.add(sleeper())
    until(lambda: NAME in supervisor.states() and supervisor.states()[NAME].live)
    until(lambda: supervise.log_of(NAME).exists() and "hello" in supervise.log_of(NAME).read_text())
    assert supervise.file_of(NAME).stat().st_mode & 0o777 == 0o600
    supervisor.remove(NAME, 15)
    assert supervisor.states() == {}
    assert not supervise.file_of(NAME).exists()


def test_what_ends_soon_is_started_again_and_can_be_replaced(supervisor: Supervisor) -> None:
    supervisor.add(sleeper("echo again; exit 3"))
    until(lambda: supervise.log_of(NAME).exists() and supervise.log_of(NAME).read_text().count("again") > 1)
    until(lambda: supervisor.states()[NAME].state == "BACKOFF")
    supervisor.remove(NAME, 15)
    supervisor.add(sleeper(start_seconds=0))
    until(lambda: supervisor.states()[NAME].state == "RUNNING")
    assert supervisor.states()[NAME].words == ""


def test_removing_what_is_not_there_is_no_error(supervisor: Supervisor) -> None:
    supervisor.remove("launched-nobody", 1)


def test_a_percent_sign_reaches_the_program(supervisor: Supervisor) -> None:
    supervisor.add(sleeper("echo 100%s; exec sleep 600"))
    until(lambda: supervise.log_of(NAME).exists() and "100%s" in supervise.log_of(NAME).read_text())
