"""Ten gate runs while worker, controller and console are killed at random: none is left running, none counts twice."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from tests.e2e.pages import Operator
from tests.e2e.stack import ROOT, Stack, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.soak]

RUNS = 10
SEED = 20261127
KILLED = ("worker", "controller", "console")
OVER = {"passed", "failed", "inconclusive", "invalid", "errored", "cancelled", "interrupted"}
# STEP 1 for 4 s, SPIKE 2/s × 6 s, SOAK 2/s × 10 s.
BRIEF = {
    "name": "kill", "step_on": "on", "step_levels": "1", "step_seconds": "4", "step_completions": "2", "step_cap": "8",
    "spike_on": "on", "spike_rate": "2", "spike_seconds": "6", "spike_spacing": "constant", "spike_cv": "1",
    "soak_on": "on", "soak_rate": "2", "soak_seconds": "10", "soak_spacing": "constant", "soak_cv": "1",
    "ttft_p95": "7", "e2e_p95": "20", "error_rate": "0.5", "qps": "2", "qps_ratio": "90", "windows_met": "90",
    "window_seconds": "5", "window_minimum": "5", "workload": "demo", "input_tokens": "64", "input_sigma": "0",
    "output_tokens": "32", "output_sigma": "0", "temperature": "0", "salted": "on", "mode": "gate",
    "warm_up_requests": "2", "warm_up_seconds": "10", "drain_seconds": "10", "request_timeout": "20",
    "in_flight_cap": "64", "expected": "0", "reason": "for the soak",
}  # fmt: skip


def gate(stack: Stack, *arguments: str) -> str:
    command = [sys.executable, "manage.py", "gate", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **stack.environment}, capture_output=True, text=True, check=False
    )
    return done.stdout


def runs(stack: Stack) -> dict[int, dict[str, Any]]:
    rows = [json.loads(line) for line in gate(stack, "list", "--json").splitlines()]
    return {row["run"]: row for row in rows}


def state(stack: Stack, number: int) -> str:
    return str(runs(stack)[number]["state"])


def kill_once(stack: Stack, dice: random.Random, killed: Counter[str]) -> None:
    time.sleep(dice.uniform(2, 14))
    name = dice.choice(KILLED)
    try:
        stack.kill(name)
    except (OSError, ValueError):
        return  # just gone, or being started again
    killed[name] += 1


def finish(stack: Stack, operator: Operator, number: int, resumed: set[int]) -> str:
    """Follow one run to its verdict, resuming it as an operator would each time its process was lost."""
    for _ in range(6):
        wait_for(lambda: state(stack, number) in OVER, seconds=240, what=f"run {number} comes to rest")
        found = state(stack, number)
        if found not in {"interrupted", "errored"}:
            return found
        wait_for(lambda: _answers(operator), seconds=60, what="the console is back")
        operator.post(f"/gates/{number}/resume/", {"reason": "killed by the soak"})
        resumed.add(number)
    raise AssertionError(f"run {number} was interrupted six times")


def newest(stack: Stack, before: set[int]) -> int:
    return wait_for(lambda: next(iter(set(runs(stack)) - before), None), seconds=20, what="the run exists")


def policy_of(operator: Operator) -> str:
    """The value of the policy's option in the form."""
    found = re.search(r'<option value="(\d+)"[^>]*>kill v1', operator.get("/gates/start/").text)
    assert found is not None
    return found.group(1)


def _answers(operator: Operator) -> bool:
    try:
        return operator.get("/gates/").status == 200
    except OSError:
        return False


def test_ten_runs_survive_kills_of_worker_controller_and_console(stack: Stack) -> None:
    dice, killed, resumed, ends = random.Random(SEED), Counter[str](), set[int](), Counter[str]()
    with Operator(stack) as operator:
        saved = operator.post("/gates/policies/new/", BRIEF)
        assert "kill v1 saved" in saved.text, saved.text[-3000:]
        for _ in range(RUNS):
            wait_for(lambda: _answers(operator), seconds=60, what="the console is back")
            before = set(runs(stack))
            fields = {"target": "engine:hf-demo-b", "policy": policy_of(operator), "note": "for the soak"}
            operator.post("/gates/start/", fields)
            number = newest(stack, before)
            kill_once(stack, dice, killed)
            ends[finish(stack, operator, number, resumed)] += 1
    found = runs(stack)
    print(f"seed {SEED}, kills {dict(killed)}, resumed {sorted(resumed)}, ends {dict(ends)}")
    assert len(found) == RUNS
    assert all(row["state"] in OVER for row in found.values())
    for number, row in found.items():
        report = json.loads(_report(stack, number))
        counted = {part["phase"]: part["n"] for part in report["phases"]}
        if row["state"] == "passed":
            assert (counted["spike"], counted["soak"]) == (12, 20), "a request was counted twice, or lost"
        if number in resumed:
            told = [event["text"] for event in report["events"]]
            assert any("resumed the run" in text for text in told), "a resumed run does not say so"


def _report(stack: Stack, number: int) -> str:
    with Operator(stack) as operator:
        return operator.get(f"/gates/{number}/report.json").text
