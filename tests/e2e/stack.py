"""The whole product as a person starts it: `manage.py run` in its own data directory and on its own ports."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 240
Found = TypeVar("Found")


def free_ports() -> tuple[int, int, int]:
    """Console, gateway and engine port; the one after the engine's is free as well."""
    for _ in range(50):
        sockets = [socket.socket() for _ in range(4)]
        try:
            for one in sockets[:3]:
                one.bind(("127.0.0.1", 0))
            console, gateway, engine = (one.getsockname()[1] for one in sockets[:3])
            sockets[3].bind(("127.0.0.1", engine + 1))
        except (OSError, OverflowError):
            continue
        finally:
            for one in sockets:
                one.close()
        return console, gateway, engine
    raise RuntimeError("no four free ports found")


def wait_for(look: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """The first thing `look` finds that is neither None nor False."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:g} s: {what}")


class Stack:
    """A running copy of the product. `facts` is its first-run.json."""

    def __init__(self, folder: Path, **environment: str) -> None:
        console, gateway, engine = free_ports()
        self.data_dir = folder / "data"
        self.log = folder / "run.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}},
            "DATA_DIR": str(self.data_dir),
            "CONSOLE_PORT": str(console),
            "GATEWAY_PORT": str(gateway),
            "ENGINE_PORT": str(engine),
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "VLLM_DEMO": "off",  # a minute of start-up that only the tests of vLLM need
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.facts: dict[str, Any] = {}

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self.is_ready, seconds=START_SECONDS, what=f"the stack is ready; see {self.log}")
        self.facts = json.loads((self.data_dir / "first-run.json").read_text())

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the stack stopped:\n{self.log.read_text()[-3000:]}"
        return "Ctrl-C stops everything" in self.log.read_text()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(60)

    def pid(self, name: str) -> int:
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> int:
        """kill -9, as the fault tests mean it. Returns the pid that was killed."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def user(self, role: str) -> dict[str, str]:
        return next(user for user in self.facts["users"] if user["role"] == role)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.facts['gateway_url']}/metrics", timeout=5) as response:
            return str(response.read().decode())

    def healthz(self) -> dict[str, Any]:
        """The gateway's view of all engines; a 503 carries the same body."""
        url = f"{self.facts['gateway_url']}/healthz"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
