"""Runs in processes of their own: killed, resumed, driven by a pipeline, cancelled from the terminal."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gates.policy import Objectives, OpenLoop
from tests.fakes.engine import FakeEngine, serve
from tests.gates.place import Place, prepare
from tests.gates.rows import TINY

pytestmark = pytest.mark.stack
# On a busy machine the generator may find itself unfit; that is an honest end as well.
ENDS = {"passed": 0, "failed": 1, "invalid": 2, "inconclusive": 3}
POLICY = replace(TINY, spike=OpenLoop(rate=10, seconds=4), objectives=Objectives(), request_timeout=30)
SAMPLES = """select 1 from gates_samplebatch b join gates_gatephase p on p.id = b.phase_id
             where p.run_id = ? and p.phase = ?"""
NEWEST = "select coalesce(max(id), 0) from gates_gaterun"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeEngine]:
    with serve() as engine:
        yield engine


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, fake: FakeEngine) -> Place:
    return prepare(tmp_path_factory.mktemp("place"), url=fake.url, policy=POLICY)


def queue(place: Place) -> int:
    place.manage("gate", "run", "--policy", "tiny", "--engine", "hf-demo")
    return int(place.rows(NEWEST)[0][0])


def reap(place: Place, seconds: float) -> None:
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    place.manage("shell", "-c", f"from gates.reaper import reap; import datetime; reap({now!r})")


def test_a_killed_run_is_interrupted_by_the_reaper_and_resumed_without_its_half_phase(place: Place) -> None:
    run = queue(place)
    with place.execute(run) as process:
        place.wait_for(SAMPLES, run, "spike")
        process.kill()
    reap(place, 0)
    assert place.state(run) == "running"
    reap(place, 55)
    assert place.state(run) == "interrupted"
    place.manage("gate", "resume", str(run))
    with place.execute(run) as process:
        _out, err = process.communicate(timeout=60)
    assert place.state(run) == "passed", err
    phases = place.rows("select phase, attempt, kept from gates_gatephase where run_id = ? order by id", run)
    assert phases == [("step", 1, 1), ("spike", 1, 0), ("spike", 2, 1), ("soak", 1, 1)]
    place.manage("gate", "judge", str(run))


def test_a_stopped_executor_says_so_at_once(place: Place) -> None:
    run = queue(place)
    with place.execute(run) as process:
        place.wait_for(SAMPLES, run, "step")
        process.terminate()
        process.wait(20)
    assert place.state(run) == "interrupted"
    assert "cancel" in place.manage("gate", "cancel", str(run)).lower()
    assert place.state(run) == "cancelled"


def test_an_executor_whose_starter_was_killed_ends_by_itself(place: Place, fake: FakeEngine) -> None:
    run = queue(place)
    command = ["-c", "import subprocess, sys; subprocess.call([sys.executable, *sys.argv[1:]])"]
    starter = place.start("-m", "tests.gates.run_here", str(run), program=command)
    try:
        place.wait_for(SAMPLES, run, "step")
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.communicate(timeout=20)
    place.wait_for("select 1 from gates_gaterun where id = ? and state = 'interrupted'", run, seconds=15)
    assert fake.running == 0


def test_a_pipeline_needs_no_worker_and_leaves_its_files(place: Place, tmp_path: Path) -> None:
    wanted = {name: tmp_path / name for name in ("json", "html", "markdown", "junit", "samples", "evidence")}
    files = [part for name, path in wanted.items() for part in (f"--{name}", str(path))]
    with place.start("gate", "run", "--policy", "tiny", "--engine", "hf-demo", "--wait", *files) as process:
        out, err = process.communicate(timeout=90)
    run = int(place.rows(NEWEST)[0][0])
    assert process.returncode == ENDS[place.state(run)], f"{out}\n{err}"
    report = json.loads(wanted["json"].read_bytes())
    assert (report["verdict"], report["run"]["id"]) == (place.state(run), run)
    assert all(path.stat().st_size for path in wanted.values() if path.name != "samples")
    place.manage("gate", "judge", str(run))
    place.manage("evidence", "verify", str(wanted["evidence"]))
    wanted["evidence"].write_bytes(
        wanted["evidence"].read_bytes().replace(b'"outcome":"ok"', b'"outcome":"timeout"', 1)
    )
    if place.state(run) != "invalid":
        assert wanted["samples"].read_bytes().count(b"\n") > 40
        place.manage("evidence", "verify", str(wanted["evidence"]), code=1)


def test_ctrl_c_in_a_pipeline_cancels_the_run(place: Place, fake: FakeEngine) -> None:
    last = int(place.rows(NEWEST)[0][0])
    with place.start("gate", "run", "--policy", "tiny", "--engine", "hf-demo", "--wait") as process:
        place.wait_for("select 1 from gates_gaterun where id > ? and state = 'preflight'", last)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert (process.returncode, place.state(last + 1), fake.running) == (130, "cancelled", 0)


def test_what_cannot_start_is_infrastructure_and_never_a_verdict(place: Place, tmp_path: Path) -> None:
    place.manage("gate", "run", "--policy", "no-such", "--engine", "hf-demo", "--wait", code=4)
    place.manage("gate", "run", "--policy", "tiny", "--engine", "no-such", "--wait", code=4)
    missing = str(tmp_path / "nowhere" / "x.json")
    place.manage("gate", "run", "--policy", "tiny", "--engine", "hf-demo", "--wait", "--json", missing, code=4)
