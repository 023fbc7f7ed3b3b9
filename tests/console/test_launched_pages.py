"""Launched engines on pages: start, stop, sleep, their log, and who may do it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console import supervise
from console.celery import app
from console.models import User
from engines import profiles
from engines.launch.profile import Profile
from engines.local import PROGRAMS
from engines.models import Engine, Replica
from tests.console.makers import TESTER
from tests.fakes.supervisor import FakeSupervisor

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
WHY = "more capacity for the night"
Sent = list[tuple[str, Any]]


@pytest.fixture(autouse=True)
def place(settings, tmp_path) -> None:
    settings.DATA_DIR = tmp_path
    profiles.ensure_built_in()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> FakeSupervisor:
    fake = FakeSupervisor()
    monkeypatch.setattr(supervise, "running", lambda: fake)
    return fake


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent: Sent = []
    monkeypatch.setattr(app, "send_task", lambda name, args, *_a, **_k: sent.append((name, args)))
    for name in ("console.stop_launched", "console.sleep_launched"):
        task = app.tasks[name]
        monkeypatch.setattr(task, "apply_async", lambda args, name=name, **_: sent.append((name, args)))
    return sent


def launch(client: Client, name: str = "hf", **data: object) -> Any:
    filled = {"engine": "night", "port": "", "reason": WHY, **data}
    return client.post(reverse("console:profile-launch", args=[name]), filled, follow=True)


def act(client: Client, verb: str, engine: str = "night") -> Any:
    return client.post(reverse("console:launched-act", args=[engine, verb]), {"reason": WHY}, follow=True)


def test_a_launch_from_the_page_registers_and_leads_to_the_log(
    client_of: ClientOf, operator: User, supervisor: FakeSupervisor
) -> None:
    page = launch(client_of(operator)).content.decode()
    assert "Log of night" in page
    assert list(supervisor.programs) == ["launched-night"]
    assert Replica.objects.get().profile_digest == profiles.newest("hf").digest
    listed = client_of(operator).get(reverse("console:profiles")).content.decode()
    for words in ("Launched on this machine", "night", "Running", "Drain and stop…", "hf v1"):
        assert words in listed
    assert "Put to sleep…" not in listed


def test_the_page_of_an_engine_says_by_which_profile_it_was_started(
    client_of: ClientOf, operator: User, supervisor: FakeSupervisor
) -> None:
    launch(client_of(operator))
    page = client_of(operator).get(reverse("console:engine", args=["night"])).content.decode()
    assert "profile hf v1" in page


@pytest.mark.parametrize(
    ("data", "words"),
    [({"port": 80}, "1024"), ({"engine": "No Name"}, "Use 1 to 63"), ({"reason": "short"}, "Say why")],
)
def test_a_launch_needs_good_fields(
    client_of: ClientOf, operator: User, supervisor: FakeSupervisor, data: dict[str, Any], words: str
) -> None:
    answer = launch(client_of(operator), **data)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert supervisor.programs == {}


def test_a_second_launch_says_that_it_runs(client_of: ClientOf, operator: User, supervisor: FakeSupervisor) -> None:
    launch(client_of(operator))
    assert "night runs already" in launch(client_of(operator)).content.decode()


def test_without_a_supervisor_the_page_gives_the_command(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    page = client.get(reverse("console:profile-launch", args=["hf"])).content.decode()
    assert "manage.py launch hf" in page
    assert "does not run under supervisor here" in launch(client).content.decode()
    assert not Engine.objects.exists()


def test_a_stop_takes_traffic_off_at_once_and_leaves_the_waiting_to_the_worker(
    client_of: ClientOf, operator: User, supervisor: FakeSupervisor, messages: Sent
) -> None:
    launch(client_of(operator))
    page = act(client_of(operator), "stop").content.decode()
    assert "night drains and then stops." in page
    assert Engine.objects.get().state == Engine.State.DRAINING
    who = ["user", str(operator.pk), "operator-1"]
    assert messages == [("console.stop_launched", ["night", Replica.objects.get().url, who, WHY])]


def test_an_engine_with_sleep_mode_can_be_put_to_sleep(
    client_of: ClientOf, operator: User, supervisor: FakeSupervisor, messages: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROGRAMS, "vllm", lambda: ("vllm", "serve"))
    made = Profile(kind="vllm", model="/models/m", settings={"sleep_mode": True})
    profiles.create("deep", made, actor=TESTER, reason=WHY)
    launch(client_of(operator), "deep")
    listed = client_of(operator).get(reverse("console:profiles")).content.decode()
    assert "Put to sleep…" in listed
    assert "drains and then sleeps" in act(client_of(operator), "sleep").content.decode()
    assert [name for name, _ in messages] == ["console.sleep_launched"]


def test_an_engine_that_does_not_wake_says_why(client_of: ClientOf, operator: User, supervisor: FakeSupervisor) -> None:
    launch(client_of(operator))
    answer = act(client_of(operator), "wake")
    assert answer.status_code == 422
    assert "was not launched with sleep mode" in answer.content.decode()


def test_the_log_shows_its_end_without_secrets(client_of: ClientOf, operator: User, supervisor: FakeSupervisor) -> None:
    launch(client_of(operator))
    supervise.log_of("launched-night").write_text("loaded <b>m</b>\nAPI_KEY=hunter2\n")
    page = client_of(operator).get(reverse("console:launched-log", args=["night"])).content.decode()
    assert "loaded &lt;b&gt;m&lt;/b&gt;" in page
    assert "The last 2 lines" in page
    assert "hunter2" not in page


def test_a_log_of_nothing_is_not_found(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    assert client.get(reverse("console:launched-log", args=["nobody"])).status_code == 404
    assert client.get(reverse("console:launched-act", args=["nobody", "stop"])).status_code == 404
    assert client.get(reverse("console:profile-launch", args=["nobody"])).status_code == 404


def test_a_viewer_sees_what_runs_and_touches_nothing(
    client_of: ClientOf, viewer: User, operator: User, supervisor: FakeSupervisor
) -> None:
    launch(client_of(operator))
    client = client_of(viewer)
    listed = client.get(reverse("console:profiles")).content.decode()
    assert "Running" in listed
    assert "Drain and stop…" not in listed
    assert launch(client).status_code == act(client, "stop").status_code == 403
    assert client.get(reverse("console:launched-log", args=["night"])).status_code == 403
