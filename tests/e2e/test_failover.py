"""A failover gate on the running product: real gateway, real controller, both demo engines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Stack, wait_for

pytestmark = pytest.mark.stack


def start(stack: Stack, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "manage.py", "failover", "run", "--route", "demo", "--engine", "hf-demo"]
    command += ["--other", "hf-demo-b", "--scenarios", "stop", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **stack.environment}, **pipes)


def staged(stack: Stack) -> list[str]:
    return [name for name in stack.healthz()["engines"] if name.startswith("failover-")]


def test_a_stopped_engine_is_taken_over_and_nothing_stays_behind(stack: Stack, tmp_path: Path) -> None:
    wait_for(
        lambda: all(one["can_take_traffic"] for one in stack.healthz()["engines"].values()), seconds=60, what="fit"
    )
    with start(stack, "--json", str(tmp_path / "report.json")) as process:
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, f"{out}\n{err}"
    finding = json.loads((tmp_path / "report.json").read_text())["findings"][0]
    assert (finding["ok"], finding["failed"]) == (finding["requests"], {})
    assert finding["by_other"] > 0
    assert finding["out"] is not None
    wait_for(lambda: not staged(stack), seconds=10, what="the gateway forgets the stand-in")


def test_a_killed_gate_is_cleaned_up_by_the_controller(stack: Stack) -> None:
    with start(stack) as process:
        wait_for(lambda: staged(stack), seconds=60, what="the stand-in is staged")
        process.kill()
        process.communicate(timeout=10)
    wait_for(lambda: not staged(stack), seconds=70, what="the controller removes what the killed process left")
