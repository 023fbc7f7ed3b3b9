"""A console of its own on disk: a database file that several processes share, and commands run against it."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gates.policy import Policy, to_json

ROOT = Path(__file__).parent.parent.parent
SEED = """
import json
from engines.actions import EngineSpec, register_engine, set_state
from engines.actors import BOOTSTRAP
from engines.models import Engine
from gates.actions import create_policy
from gates.policy import from_json
engine = register_engine(EngineSpec(name="hf-demo", kind="vllm", served_model="m"), replicas=[({url!r}, "")],
                         actor=BOOTSTRAP, reason="test")
set_state(engine, Engine.State.ACTIVE, actor=BOOTSTRAP, reason="test")
create_policy("tiny", from_json(json.loads({policy!r})), actor=BOOTSTRAP, reason="test")
"""


class Place:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING", **environment}
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)
        self.environment.pop("DATABASE_URL", None)
        self.environment.pop("REDIS_URL", None)

    def execute(self, run: int) -> "subprocess.Popen[str]":
        return self.start(str(run), program=("-m", "tests.gates.run_here"))

    def start(self, *arguments: str, program: Sequence[str] = ("manage.py",), **how: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, *program, *arguments]
        pipes: Mapping[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, **pipes, **how)

    def manage(self, *arguments: str, code: int = 0, seconds: float = 90) -> str:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=seconds)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return out

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.folder / "console.sqlite3", timeout=10) as connection:
            found = connection.execute(query, values).fetchall()
        connection.close()
        return found

    def state(self, run: int) -> str:
        return str(self.rows("select state from gates_gaterun where id = ?", run)[0][0])

    def wait_for(self, query: str, *values: Any, seconds: float = 30) -> None:
        """Until the query finds a row."""
        until = time.monotonic() + seconds
        while not self.rows(query, *values):
            assert time.monotonic() < until, f"nothing after {seconds} s: {query}"
            time.sleep(0.1)


def prepare(folder: Path, *, url: str, policy: Policy) -> Place:
    """A place with its tables, the engine hf-demo at `url` and `policy` under the name tiny."""
    place = Place(folder)
    place.manage("migrate", "--verbosity", "0")
    place.manage("shell", "-c", SEED.format(url=url, policy=json.dumps(to_json(policy))))
    return place
