"""Releases by control API and by command line: the same acts, with the same permissions."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from console.models import User
from gates.models import Release
from routing.keys import create_key
from routing.models import Route
from tests.console import makers
from tests.console.conftest import PASSWORD
from tests.gates.releases import world as worlds
from tests.gates.releases.world import BASELINE, CANDIDATE, World

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
RELEASES = "/api/v1/releases"
BODY = {"route": "demo", "candidate": CANDIDATE, "policy": "demo", "note": "nightly build 7"}


@pytest.fixture
def world(demo_route: Route) -> World:
    return World()


@pytest.fixture
def caller(world: World) -> Client:
    _key, secret = create_key("pipeline", scopes=["control"], actor=makers.TESTER, reason="for a test")
    return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {secret}"})


def post(caller: Client, path: str, **body: Any) -> Any:
    return caller.post(f"{RELEASES}{path}", json.dumps(body), content_type="application/json")


def test_a_key_requests_a_release_and_asks_how_it_stands(caller: Client) -> None:
    answer = post(caller, "", **BODY)
    assert answer.status_code == 202
    shown = caller.get(f"{RELEASES}/{answer.json()['release']}").json()
    assert (shown["state"], shown["stage"], shown["over"]) == ("gating", 0, False)
    assert Release.objects.get().actor_name == "pipeline"
    assert caller.get(RELEASES).json()[0]["release"] == shown["release"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**BODY, "candidate": BASELINE}, 422, "has weight"),
        ({**BODY, "route": "nowhere"}, 422, "No route is named nowhere"),
        ({**BODY, "policy": "none"}, 422, "No release policy"),
        ({**BODY, "note": "short"}, 422, "note"),
        ({**BODY, "extra": 1}, 422, "extra"),
    ],
)
def test_bad_input_is_refused_in_the_apis_form(caller: Client, body: dict[str, Any], status: int, words: str) -> None:
    answer = post(caller, "", **body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert not Release.objects.exists()


def test_a_key_pauses_resumes_and_rolls_back_but_never_approves(world: World, caller: Client) -> None:
    release = world.at(10, world.start())
    number = release.pk
    assert post(caller, f"/{number}/pause", reason="a look first").json()["state"] == "paused"
    assert post(caller, f"/{number}/pause").status_code == 409
    assert post(caller, f"/{number}/resume").json()["state"] == "baking"
    refused = post(caller, f"/{number}/approve")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_for_keys")
    assert post(caller, f"/{number}/rollback").json()["state"] == "rolling_back"
    assert caller.get(f"{RELEASES}/999").status_code == 404


@pytest.mark.usefixtures("operator", "approver", "viewer")
def test_the_command_line_acts_in_the_name_of_a_person_with_their_rights(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    start = ("release", "start", "--route", "demo", "--candidate", CANDIDATE, "--policy", "demo", "--note", "build 7")
    with pytest.raises(CommandError, match="may not operate"):
        call_command(*start, "--as", "viewer-1")
    call_command(*start, "--as", "operator-1")
    release = Release.objects.get()
    world.judge(release)
    world.until("awaiting_approval", release)
    monkeypatch.setenv("CONSOLE_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="may not approve"):
        call_command("release", "approve", str(release.pk), "--as", "operator-1")
    call_command("release", "status", str(release.pk))
    assert "0 % → 10 %" in capsys.readouterr().out
    call_command("release", "approve", str(release.pk), "--as", "approver-1")
    release.refresh_from_db()
    assert release.state == "approved"
    with pytest.raises(CommandError, match="asks for nothing"):
        call_command("release", "approve", str(release.pk), "--as", "approver-1")
    call_command("release", "abort", str(release.pk), "--as", "operator-1", "--reason", "not today")
    release.refresh_from_db()
    assert release.state == "aborted"


def test_the_command_line_refuses_the_requester_and_a_wrong_password(
    world: World, approver: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "OLGA", approver.actor)
    release = world.until("awaiting_approval", world.start())
    monkeypatch.setenv("CONSOLE_PASSWORD", "wrong")
    with pytest.raises(CommandError, match="not right"):
        call_command("release", "approve", str(release.pk), "--as", "approver-1")
    monkeypatch.setenv("CONSOLE_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="another person"):
        call_command("release", "approve", str(release.pk), "--as", "approver-1")
