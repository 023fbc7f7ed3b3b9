"""The processes of one machine, and the supervisor configuration that runs them. Pure apart from settings."""

import getpass
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from console import demo, env
from console.demo import DemoEngine
from console.ports import Address
from engines.hf.demo import MODEL_DIR, SERVED_MODEL
from engines.local import vllm_python

UNIX_PATH_LIMIT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One program under supervisor. `stop_seconds` is how long it may take to finish its streams.

    An end before `start_seconds` counts as failed: the next start waits a second longer each time. Output goes to
    `log`, else to supervisord's own.
    """

    name: str
    command: Sequence[str]
    stop_seconds: int = 10
    priority: int = 100
    start_seconds: int = 2
    log: Path | None = None


def python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def worker_command() -> tuple[str, ...]:
    return python(
        "-W",
        "ignore::UserWarning:celery.platforms",  # as root on a laptop: its own user is the deployment's business
        "-m",
        "celery",
        "--quiet",
        "-A",
        "console.celery",
        "worker",
        "--pool=threads",
        "--concurrency=8",  # a gate run holds a thread to its end; check lists must not wait for it
        "--loglevel=WARNING",
        "--without-gossip",
        "--without-mingle",
    )


def console_processes() -> list[Process]:
    host, port = settings.CONSOLE_HOST, str(settings.CONSOLE_PORT)
    daphne = python(
        "-m",
        "daphne",
        "-b",
        host,
        "-p",
        port,
        "--no-server-name",
        "--websocket_timeout",
        "3600",
        "--ping-interval",
        "20",
        "--ping-timeout",
        "20",
        "--application-close-timeout",
        "5",
        "-v",
        "0",
        "console.asgi:application",
    )
    return [
        Process(name="console", command=daphne),
        Process(name="gateway", command=python("manage.py", "gateway"), stop_seconds=35),
        Process(name="controller", command=python("manage.py", "controller")),
        Process(name="worker", command=worker_command()),
    ]


def hf_engine_command(port: int) -> tuple[str, ...]:
    """Nicer than the rest: on one small machine the gateway and the load generator keep their time."""
    model = ("--model", str(MODEL_DIR), "--served-model-name", SERVED_MODEL)
    return ("nice", "-n", "5", *python("manage.py", "hf_engine", "--port", str(port), *model))


def vllm_command(port: int) -> tuple[str, ...]:
    """Text only, on one host, without compiling: it starts in about a minute. The cache's size is in GiB."""
    variables = ("VLLM_CPU_KVCACHE_SPACE=1", "VLLM_NO_USAGE_STATS=1", "HF_HUB_OFFLINE=1")
    options = ("--max-model-len", "16384", "--max-num-seqs", "32", "--enforce-eager")
    return (
        "env",
        *variables,
        "nice",
        "-n",
        "5",
        str(vllm_python()),
        *("-m", "vllm.entrypoints.cli.main", "serve", str(MODEL_DIR)),
        *("--served-model-name", SERVED_MODEL, "--host", "127.0.0.1", "--port", str(port)),
        *options,
    )


def _demo_command(engine: DemoEngine) -> tuple[str, ...]:
    return (vllm_command if engine is demo.VLLM_DEMO else hf_engine_command)(engine.port)


def demo_processes() -> list[Process]:
    return [
        Process(name=engine.name, command=_demo_command(engine), stop_seconds=40, priority=50)
        for engine in demo.engines()
    ]


def needed_addresses(*, with_demo: bool) -> list[Address]:
    addresses = [
        Address("CONSOLE_PORT", settings.CONSOLE_HOST, settings.CONSOLE_PORT),
        Address("GATEWAY_PORT", settings.GATEWAY_HOST, settings.GATEWAY_PORT),
    ]
    if with_demo:
        addresses += [Address("ENGINE_PORT", "127.0.0.1", engine.port) for engine in demo.engines()]
    return addresses


def run_dir() -> Path:
    folder = Path(settings.DATA_DIR) / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def launched_dir() -> Path:
    """Programs that were launched beside those of `make run`: a file each, read at start and reload."""
    folder = run_dir() / "launched"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def socket_path() -> Path:
    """supervisor's control socket; Unix socket paths have a length limit."""
    path = run_dir() / "supervisor.sock"
    if len(str(path)) > UNIX_PATH_LIMIT:
        raise ValueError(f"DATA_DIR is too long a path for a Unix socket: {path}")
    return path


def supervisor_config(processes: Sequence[Process]) -> str:
    """Output goes to supervisord's own, so one terminal shows one log; each process writes its pid file."""
    folder, control = run_dir(), socket_path()
    (launched_dir() / "none.conf").touch()  # supervisor warns of a pattern that matches nothing
    password = env.secret("SUPERVISOR_PASSWORD", Path(settings.DATA_DIR))
    head = f"""[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
loglevel = warn
pidfile = {folder / "supervisord.pid"}
user = {getpass.getuser()}
childlogdir = {folder}

[unix_http_server]
file = {control}
chmod = 0700
username = console
password = {password}

[supervisorctl]
serverurl = unix://{control}
username = console
password = {password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = launched/*.conf
"""
    return head + "".join(program(process) for process in processes)


def program(process: Process) -> str:
    folder = run_dir()
    pid_file = folder / f"{process.name}.pid"
    pid, draft = shlex.quote(str(pid_file)), shlex.quote(f"{pid_file}.new")
    script = f"echo $$ > {draft}; mv {draft} {pid}; exec {shlex.join(process.command)}"
    command = f"/bin/sh -c {shlex.quote(script)}".replace("%", "%%")
    return f"""
[program:{process.name}]
command = {command}
directory = {settings.BASE_DIR}
environment = PROCESS_NAME="{process.name}",PYTHONUNBUFFERED="1"
autorestart = true
startsecs = {process.start_seconds}
startretries = 1000000
stopwaitsecs = {process.stop_seconds}
stopasgroup = true
killasgroup = true
priority = {process.priority}
redirect_stderr = true
{_log(process.log)}"""


def _log(path: Path | None) -> str:
    if path is None:
        return "stdout_logfile = /dev/stdout\nstdout_logfile_maxbytes = 0\n"
    return (
        f"stdout_logfile = {str(path).replace('%', '%%')}\nstdout_logfile_maxbytes = 5MB\nstdout_logfile_backups = 1\n"
    )
