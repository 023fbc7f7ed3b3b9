"""Launching, stopping and sleeping local engines, by command and by task, with a fake supervisor and engine."""

import os
import signal
import socket
import threading
import time

import pytest
from django.core.management import CommandError, call_command

from console import launching, supervise, tasks
from console.launching import CannotLaunch
from console.supervise import NoSupervisor
from engines import launched, profiles
from engines.launch.profile import Profile
from engines.launched import EngineTaken
from engines.local import PROGRAMS
from engines.models import Engine, LaunchProfile, Replica
from tests.console.makers import TESTER, engine
from tests.fakes.engine import FakeEngine, serve
from tests.fakes.supervisor import FakeSupervisor

pytestmark = pytest.mark.django_db
WHY = "for a test"
IDLE = b"hf:num_requests_running 0\nhf:num_requests_waiting 0\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings, tmp_path) -> None:
    monkeypatch.setattr("engines.draining.SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("engines.draining.LOOK_SECONDS", 0.01)
    settings.DATA_DIR = tmp_path


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> FakeSupervisor:
    fake = FakeSupervisor()
    monkeypatch.setattr(supervise, "running", lambda: fake)
    return fake


def version(name: str = "small", kind: str = "custom", **settings: object) -> LaunchProfile:
    made = Profile(kind=kind, model="/models/m", settings={"served_name": "m", **settings})
    return profiles.create(name, made, actor=TESTER, reason=WHY)


def started(supervisor: FakeSupervisor, made: LaunchProfile | None = None) -> Replica:
    return launching.start(launching.plan(made or version()), supervisor, actor=TESTER, reason=WHY)


def at(replica: Replica, fake: FakeEngine) -> Replica:
    """As if the process that was launched were the fake."""
    Replica.objects.filter(pk=replica.pk).update(url=fake.url)
    replica.refresh_from_db()
    return replica


def test_a_launch_registers_and_hands_the_process_to_the_supervisor(supervisor: FakeSupervisor) -> None:
    replica = started(supervisor, version(drain_seconds=20))
    program = supervisor.programs["launched-small"]
    assert (replica.engine.name, replica.engine.state) == ("small", Engine.State.ACTIVE)
    assert f"--port {replica.url.rpartition(':')[2]}" in " ".join(program.command)
    assert program.stop_seconds == 50
    assert program.log == supervise.log_of("launched-small")


def test_a_second_launch_of_one_that_runs_is_refused(supervisor: FakeSupervisor) -> None:
    made = version()
    started(supervisor, made)
    with pytest.raises(CannotLaunch, match="runs already"):
        started(supervisor, made)


def test_what_the_supervisor_does_not_take_is_not_registered() -> None:
    with pytest.raises(NoSupervisor):
        started(FakeSupervisor(broken=True))
    assert not Engine.objects.exists()


def test_an_engine_of_another_kind_starts_no_process(supervisor: FakeSupervisor) -> None:
    engine("small", kind="vllm")
    with pytest.raises(EngineTaken):
        started(supervisor)
    assert supervisor.programs == {}


def test_a_taken_port_is_refused_and_none_is_chosen_for_it() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(CannotLaunch, match="is taken"):
            launching.plan(version(), port=busy.getsockname()[1])


def test_a_stop_drains_ends_the_process_and_disables(supervisor: FakeSupervisor) -> None:
    with serve() as fake:
        fake.metrics_body = IDLE
        replica = at(started(supervisor), fake)
        launched.withdraw(replica, actor=TESTER, reason=WHY)
        tasks.stop_launched("small", replica.url, ["user", "1", "tester-1"], WHY)
    assert fake.paths.count("/metrics") >= 2
    assert supervisor.programs == {}
    assert Engine.objects.get().state == Engine.State.DISABLED


def test_an_engine_that_stays_busy_is_stopped_when_the_time_is_up(supervisor: FakeSupervisor) -> None:
    said: list[str] = []
    with serve() as fake:
        fake.metrics_body = b"hf:num_requests_running 3\n"
        replica = at(started(supervisor), fake)
        launched.withdraw(replica, actor=TESTER, reason=WHY)
        launching.stop("small", replica.url, actor=TESTER, reason=WHY, say=said.append, seconds=0.1)
    assert said[0] == "3 requests are still under way."
    assert supervisor.programs == {}


def test_a_process_that_nobody_supervises_has_to_be_ended_where_it_runs(supervisor: FakeSupervisor) -> None:
    said: list[str] = []
    replica = started(supervisor)
    supervisor.programs.clear()
    launched.withdraw(replica, actor=TESTER, reason=WHY)
    launching.stop("small", "http://127.0.0.1:1", actor=TESTER, reason=WHY, say=said.append, seconds=0.1)
    assert said[-1] == "The process of small is not under supervisor: end it where it runs."


def sleeper(supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> Replica:
    monkeypatch.setitem(PROGRAMS, "vllm", lambda: ("vllm", "serve"))
    return started(supervisor, version(kind="vllm", sleep_mode=True))


def test_an_engine_sleeps_only_once_it_is_idle(supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as fake:
        fake.metrics_body = b"vllm:num_requests_running 0\n"
        fake.extra_paths = {"/sleep": (200, b""), "/wake_up": (200, b"")}
        replica = at(sleeper(supervisor, monkeypatch), fake)
        tasks.sleep_launched("small", ["user", "1", "tester-1"], WHY)
        assert fake.paths[-1] == "/sleep"
        assert Engine.objects.get().state == Engine.State.DRAINING
        launching.wake(launched.replica_of("small"), actor=TESTER, reason=WHY)
        assert fake.paths[-1] == "/wake_up"
    assert replica.engine.name == "small"
    assert Engine.objects.get().state == Engine.State.ACTIVE


def test_a_busy_engine_drains_and_stays_awake(supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "DRAIN_SECONDS", 0.1)
    with serve() as fake:
        fake.metrics_body = b"vllm:num_requests_running 1\n"
        replica = at(sleeper(supervisor, monkeypatch), fake)
        with pytest.raises(CannotLaunch, match="still has requests under way"):
            launching.put_to_sleep(replica, actor=TESTER, reason=WHY, say=print)
    assert "/sleep" not in fake.paths


def test_an_engine_without_sleep_mode_cannot_sleep(supervisor: FakeSupervisor) -> None:
    replica = started(supervisor)
    for act in (launching.wake, lambda *a, **k: launching.put_to_sleep(*a, say=print, **k)):
        with pytest.raises(CannotLaunch, match="was not launched with sleep mode"):
            act(replica, actor=TESTER, reason=WHY)
    assert Engine.objects.get().state == Engine.State.ACTIVE


def test_a_sleep_that_is_refused_is_logged(supervisor: FakeSupervisor, caplog: pytest.LogCaptureFixture) -> None:
    started(supervisor)
    tasks.sleep_launched("small", ["user", "1", "tester-1"], WHY)
    assert "small does not sleep: small was not launched with sleep mode." in caplog.text
    tasks.sleep_launched("nobody", ["user", "1", "tester-1"], WHY)


def test_the_command_hands_over_to_the_product_that_runs(supervisor: FakeSupervisor, capsys) -> None:
    call_command("launch", "hf", engine="night", port=None)
    assert list(supervisor.programs) == ["launched-night"]
    assert "night starts at http://127.0.0.1:" in capsys.readouterr().out
    assert Replica.objects.get().profile_digest == profiles.newest("hf").digest


def test_the_command_says_what_there_is(supervisor: FakeSupervisor) -> None:
    with pytest.raises(CommandError, match=r"No profile is named nothing. There are: hf, vllm"):
        call_command("launch", "nothing")
    for act in ("--stop", "--sleep", "--wake"):
        with pytest.raises(CommandError, match=r"No engine named hf was launched. There are: none"):
            call_command("launch", "hf", act)


def test_the_command_stops_what_it_launched(supervisor: FakeSupervisor) -> None:
    call_command("launch", "hf", engine="night")
    with serve() as fake:
        fake.metrics_body = IDLE
        at(Replica.objects.get(), fake)
        call_command("launch", "night", "--stop")
    assert supervisor.programs == {}
    assert Engine.objects.get().state == Engine.State.DISABLED


@pytest.mark.django_db(transaction=True)
def test_without_a_supervisor_the_command_keeps_the_engine_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys, tmp_path
) -> None:
    counter = tmp_path / "starts"
    script = f"echo start >> {counter}; [ $(wc -l < {counter}) = 1 ] && exit 3; echo up; exec sleep 600"
    monkeypatch.setitem(PROGRAMS, "custom", lambda: ("sh", "-c", script))
    monkeypatch.setattr("engines.keeping.pause", lambda _: 0.01)
    log = supervise.log_of("launched-night")

    def interrupt() -> None:
        while not log.exists() or "up" not in log.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        call_command("launch", "hf", engine="night", foreground=True)
    assert ended.value.code == 0
    assert counter.read_text().count("start") == 2
    assert "The engine ended with code 3" in capsys.readouterr().out
    assert Engine.objects.get().state == Engine.State.DISABLED


def test_a_new_start_of_the_product_knows_nothing_of_the_old_processes(supervisor: FakeSupervisor) -> None:
    replica = started(supervisor)
    Replica.objects.update(in_rotation=True, score=1.0)
    launched.forget_probes()
    replica.refresh_from_db()
    assert (replica.in_rotation, replica.score) == (False, None)
