"""The supervisor of `make run` through its XML-RPC API: engines are added, looked at and removed while it runs.

A program is a file under run/launched, which the configuration includes: what was launched comes back with the next
`make run`. `reloadConfig` reads it, `addProcessGroup` starts it; nothing else is touched.
"""

import base64
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy, Transport

from django.conf import settings
from supervisor.xmlrpc import Faults

from console import env, processes
from console.processes import Process

LIVE = frozenset({"STARTING", "RUNNING", "BACKOFF", "STOPPING"})
LOOK_SECONDS = 0.2
ANSWER_SECONDS = 10.0


class NoSupervisor(Exception):
    """The product does not run under supervisor here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """As supervisor sees a program. `since` is Unix seconds; `words` say how it ended, or why it does not start."""

    name: str
    state: str
    pid: int
    since: float
    words: str

    @property
    def live(self) -> bool:
        return self.state in LIVE


class Supervisor:
    def __init__(self, proxy: Any = None) -> None:
        self._rpc = proxy if proxy is not None else _proxy()

    def states(self) -> dict[str, State]:
        """Every program by name. Raises NoSupervisor."""
        return {row["name"]: _state(row) for row in self._call("getAllProcessInfo")}

    def add(self, process: Process) -> None:
        """Start it, in place of one of that name that has ended. Raises NoSupervisor."""
        self._drop(process.name)
        path = file_of(process.name)
        path.touch(mode=0o600)
        path.write_text(processes.program(process))
        self._call("reloadConfig")
        self._call("addProcessGroup", process.name)

    def remove(self, name: str, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Stop it, wait for its end, forget it. Raises NoSupervisor, TimeoutError."""
        file_of(name).unlink(missing_ok=True)
        self._call("stopProcessGroup", name, False, unless=(Faults.BAD_NAME,))
        deadline = time.monotonic() + seconds
        while (state := self.states().get(name)) is not None and state.live:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not end in {seconds:.0f} s.")
            sleep(LOOK_SECONDS)
        self._drop(name)
        self._call("reloadConfig")

    def _drop(self, name: str) -> None:
        self._call("removeProcessGroup", name, unless=(Faults.BAD_NAME,))

    def _call(self, method: str, *arguments: object, unless: tuple[int, ...] = ()) -> Any:
        try:
            return getattr(self._rpc.supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultCode in unless:
                return None
            raise
        except OSError as gone:
            raise NoSupervisor("Nothing runs under supervisor here; start the product with make run.") from gone


def file_of(name: str) -> Path:
    return processes.launched_dir() / f"{name}.conf"


def log_of(name: str) -> Path:
    return processes.launched_dir() / f"{name}.log"


def running() -> Supervisor | None:
    """The supervisor of this machine, or None."""
    if not processes.socket_path().exists():
        return None
    try:
        supervisor = Supervisor()
        supervisor.states()
    except NoSupervisor:
        return None
    return supervisor


class _Connection(HTTPConnection):
    """HTTP over supervisor's Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        try:
            self.sock.connect(str(processes.socket_path()))
        except OSError:
            self.sock.close()
            raise


class _Transport(Transport):
    def make_connection(self, host: Any) -> HTTPConnection:
        connection = _Connection("supervisor")
        self._connection = host, connection
        return connection

    def single_request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        """One connection for each call, closed at its end."""
        try:
            return super().single_request(host, handler, request_body, verbose)
        finally:
            self.close()


def _proxy() -> ServerProxy:
    password = env.secret("SUPERVISOR_PASSWORD", Path(settings.DATA_DIR))
    secret = base64.b64encode(f"console:{password}".encode()).decode()
    return ServerProxy("http://supervisor/RPC2", _Transport(headers=[("Authorization", f"Basic {secret}")]))


def _state(row: dict[str, Any]) -> State:
    ended = row["spawnerr"] or (f"ended with code {row['exitstatus']}" if row["stop"] > row["start"] else "")
    return State(name=row["name"], state=row["statename"], pid=row["pid"], since=float(row["start"]), words=ended)


__all__ = ["NoSupervisor", "State", "Supervisor", "file_of", "log_of", "running"]
