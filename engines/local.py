"""An engine as a process of this machine: what starts a profile here, and the process with its log."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from engines.launch.profile import Profile, launch_kind
from engines.launch.render import LOCAL, Command, render

LOG_BYTES = 5 << 20
# Nicer than the rest: on one small machine the gateway and the load generator keep their time.
NICE = ("nice", "-n", "5")
ANYWHERE = {"0.0.0.0", "::", "localhost"}  # noqa: S104 - an address to listen on that is reached at the local one


class NotInstalled(Exception):
    """The engine's program is not on this machine; the message says how to get it."""


def vllm_python() -> Path:
    """The interpreter of the environment that `make vllm` provides."""
    return Path(settings.BASE_DIR) / ".venv-vllm" / "bin" / "python"


def _vllm() -> tuple[str, ...]:
    if vllm_python().exists():
        return (str(vllm_python()), "-m", "vllm.entrypoints.cli.main", "serve")
    return (_found("vllm", "vLLM is not installed here; `make vllm` provides it."), "serve")


def _found(program: str, otherwise: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise NotInstalled(otherwise)
    return path


PROGRAMS: dict[str, Callable[[], tuple[str, ...]]] = {
    "custom": lambda: (sys.executable, "manage.py", "hf_engine"),
    "vllm": _vllm,
    "trtllm": lambda: (_found("trtllm-serve", "trtllm-serve is not installed here; it needs an NVIDIA GPU."),),
}


def local_command(profile: Profile, *, port: int, options_file: Path) -> Command:
    """Raises InvalidProfile and NotInstalled. Writes the options file where the kind has one."""
    program = PROGRAMS[launch_kind(profile.kind).kind]()
    command = render(profile, program=program, port=port, options_file=str(options_file))
    if command.options:
        options_file.write_text(command.options)
    return command


def words(command: Command) -> list[str]:
    """All that is executed, its environment in front of it; nobody is told how it is used."""
    variables = {**command.environment, "VLLM_NO_USAGE_STATS": "1", "PYTHONUNBUFFERED": "1"}
    return ["env", *(f"{name}={value}" for name, value in variables.items()), *NICE, *command.argv]


def url_of(profile: Profile, port: int) -> str:
    host = str(profile.settings.get("host", LOCAL))
    return f"http://{LOCAL if host in ANYWHERE else host}:{port}"


def free_port(first: int, tried: int = 200) -> int:
    """The first port from `first` on that nothing listens on. Raises OSError."""
    for port in range(first, min(first + tried, 65536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOCAL, port))
            return port
    raise OSError(f"No port is free from {first} on.")


class LocalProcess:
    """One start of a command. Its output goes to `log`, and line by line to `say` where there is one."""

    def __init__(self, argv: Sequence[str], log: Path, say: Callable[[str], object] | None = None) -> None:
        self._argv, self._log, self._say = tuple(argv), log, say
        self._child: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    async def start(self) -> None:
        """In a session of its own: a Ctrl-C of the terminal reaches only whoever supervises."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._child = await asyncio.create_subprocess_exec(
            *self._argv, cwd=settings.BASE_DIR, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._reader = asyncio.ensure_future(self._copy(self._child))

    async def wait(self) -> int:
        if self._child is None:
            raise RuntimeError("the process was not started")
        code = await self._child.wait()
        if self._reader is not None:
            # what it started itself may hold the pipe open
            await asyncio.wait({self._reader}, timeout=1)
        return code

    async def stop(self, seconds: float) -> int:
        """SIGTERM, and after `seconds` SIGKILL, to it and all that it started. Its exit code."""
        if self._child is None:
            return 0
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await self._child.wait()
        except TimeoutError:
            pass
        self._signal(signal.SIGKILL)
        return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    async def _copy(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None  # noqa: S101 - it was asked for
        while piece := await child.stdout.read(65536):
            append(self._log, piece)
            if self._say is not None:
                self._say(piece.decode("utf-8", "replace"))


def append(log: Path, piece: bytes) -> None:
    """At most two files of 5 MB: the older one is `.1`, as supervisor has it."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as file:
        file.write(piece)
