"""Studies in processes of their own: from the command line, killed, cancelled from the terminal."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.engine import FakeEngine, serve
from tests.gates.place import Place, prepare
from tests.gates.rows import TINY

pytestmark = pytest.mark.stack
# On a busy machine a probe may stay undecided; that is an honest end as well.
ENDS = {"cap": 0, "fails_at_minimum": 1, "unresolved": 3}
ASKED = ("gate", "capacity", "--engine", "hf-demo", "--policy", "tiny", "--start", "60", "--cap", "60")
SHORT, LONG = ("--probe-seconds", "2", "--settle-seconds", "0"), ("--probe-seconds", "60")
STATE = "select state, reason from gates_gatestudy order by id desc limit 1"
RUNNING = "select 1 from gates_gatestudy where state = 'running' and beat_at is not null"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeEngine]:
    with serve() as engine:
        yield engine


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, fake: FakeEngine) -> Place:
    return prepare(tmp_path_factory.mktemp("place"), url=fake.url, policy=TINY)


def test_a_search_prints_its_probes_and_exits_by_what_it_found(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    with place.start(*ASKED, *SHORT, "--json", str(file)) as process:
        out, _ = process.communicate(timeout=90)
    study = json.loads(file.read_text())
    assert process.returncode == ENDS[study["result"]["stop"]]
    assert "60.00/s" in out
    assert study["result"]["sentence"] in out
    assert study["probes"][0]["n"] == 120


def test_a_killed_study_ends_and_a_cancelled_one_leaves_no_load(place: Place, fake: FakeEngine) -> None:
    with place.start(*ASKED, *LONG) as process:
        place.wait_for(RUNNING)
        process.kill()
    later = datetime.now(UTC) + timedelta(seconds=70)
    place.manage("shell", "-c", f"from gates.reaper import reap; import datetime; reap({later!r})")
    assert place.rows(STATE)[0][0] == "errored"
    before = fake.hits
    with place.start(*ASKED, *LONG) as process:
        place.wait_for(RUNNING)
        while fake.hits < before + 20:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert place.rows(STATE)[0][0] == "cancelled"
    assert fake.running == 0


def test_what_cannot_be_studied_is_refused_before_any_load(place: Place, fake: FakeEngine) -> None:
    before = fake.hits
    place.manage("gate", "capacity", "--engine", "nobody", code=4)
    place.manage("gate", "ab", "--baseline", "hf-demo", "--candidate", "hf-demo", code=4)
    place.manage(*ASKED, "--start", "90", code=4)
    place.manage("gate", "study", "999", code=75)
    assert fake.hits == before
