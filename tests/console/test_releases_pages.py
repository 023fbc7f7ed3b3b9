"""Releases and approvals in the browser: what each person sees, may do, and is refused with which words."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.models import AuditEvent, User
from engines.models import Engine
from gates.models import Approval, Release
from routing.models import Route
from tests.console.conftest import PASSWORD
from tests.gates.releases import world as worlds
from tests.gates.releases.world import BASELINE, CANDIDATE, World

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
WHY = "a better candidate for everybody"


@pytest.fixture
def world(demo_route: Route, operator: User, approver: User, monkeypatch: pytest.MonkeyPatch) -> World:
    """Played by the people who are logged in."""
    monkeypatch.setattr(worlds, "OLGA", operator.actor)
    monkeypatch.setattr(worlds, "ARNO", approver.actor)
    return World()


@pytest.fixture
def as_operator(client_of: Callable[[User], Client], operator: User) -> Client:
    return client_of(operator)


@pytest.fixture
def as_approver(client_of: Callable[[User], Client], approver: User) -> Client:
    return client_of(approver)


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def decide(client: Client, approval: Approval, **fields: str) -> Any:
    return client.post(f"/approvals/{approval.pk}/decide/", {"do": "approve", "password": PASSWORD, **fields})


def test_without_a_release_the_page_says_how_to_start_one(world: World, as_operator: Client) -> None:
    page = text(as_operator.get("/releases/"))
    assert "No releases yet" in page
    assert "New release" in page


def test_an_operator_requests_a_release_and_its_gate_begins(world: World, as_operator: Client) -> None:
    fields = {"route": "demo", "candidate": CANDIDATE, "policy": "demo", "evidence": "", "note": WHY}
    answer = as_operator.post("/releases/new/", fields, follow=True)
    release = Release.objects.get()
    assert (release.state, release.actor_name, release.baseline) == ("gating", "operator-1", BASELINE)
    assert f"Release {release.pk}" in text(answer)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"candidate": BASELINE}, "has weight in demo already"),
        ({"candidate": "nobody"}, "Select a valid choice"),
        ({"note": "short"}, "at least 10 characters"),
    ],
)
def test_a_bad_request_is_refused_beside_the_form_and_nothing_is_saved(
    world: World, as_operator: Client, changes: dict[str, str], words: str
) -> None:
    fields = {"route": "demo", "candidate": CANDIDATE, "policy": "demo", "evidence": "", "note": WHY, **changes}
    answer = as_operator.post("/releases/new/", fields)
    assert answer.status_code == 422
    assert words in text(answer)
    assert not Release.objects.exists()


def test_a_viewer_sees_everything_and_no_button(
    world: World, client_of: Callable[[User], Client], viewer: User
) -> None:
    release = world.at(10, world.start())
    page = text(client_of(viewer).get(f"/releases/{release.pk}/"))
    assert "Baking 10 %" in page
    assert "Detector 1: blame the canary" in page
    main = page.split("<main", 1)[1]
    assert "<form" not in main
    for path in ("roll-back", "pause", "gate", "waive", "reject"):
        assert client_of(viewer).post(f"/releases/{release.pk}/{path}/").status_code == 403


def test_the_requester_is_told_that_somebody_else_has_to_approve(world: World, as_operator: Client) -> None:
    approval = world.pending(world.until("awaiting_approval", world.start()))
    page = text(as_operator.get(f"/approvals/{approval.pk}/"))
    assert "another person has to approve" in page
    assert "Approve 0 % → 10 %" not in page
    assert decide(as_operator, approval).status_code == 403


def test_an_approver_who_requested_it_is_refused_with_the_reason(
    world: World, as_approver: Client, approver: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "OLGA", approver.actor)
    approval = world.pending(world.until("awaiting_approval", world.start()))
    answer = decide(as_approver, approval)
    assert answer.status_code == 409
    assert "You requested this release; another person has to approve it." in text(answer)


def test_the_approver_sees_it_waiting_and_approves_with_the_password(world: World, as_approver: Client) -> None:
    release = world.until("awaiting_approval", world.start())
    approval = world.pending(release)
    queue = text(as_approver.get("/approvals/"))
    assert f"{CANDIDATE} 0 % → 10 % of demo" in queue
    assert '<span class="count">' in queue
    assert decide(as_approver, approval, password="").status_code == 409
    assert decide(as_approver, approval, password="wrong").status_code == 409
    assert decide(as_approver, approval, comment="same build as Friday").status_code == 302
    release.refresh_from_db()
    assert release.state == "approved"
    again = decide(as_approver, approval)
    assert again.status_code == 409
    assert "approved by approver-1 already" in text(again)


def test_a_stale_request_says_what_changed(world: World, as_approver: Client) -> None:
    approval = world.pending(world.until("awaiting_approval", world.start()))
    Engine.objects.filter(name=CANDIDATE).update(served_model="other")
    assert "Stale: it cannot be approved" in text(as_approver.get(f"/approvals/{approval.pk}/"))
    answer = decide(as_approver, approval)
    assert answer.status_code == 409
    assert "is not what was tested: served model" in text(answer)


def test_an_approval_during_a_roll_back_is_refused_with_the_reason(
    world: World, as_approver: Client, as_operator: Client
) -> None:
    release = world.until("awaiting_approval", world.at(50, world.start()), requests=40)
    approval = world.pending(release)
    as_operator.post(f"/releases/{release.pk}/roll-back/")
    answer = decide(as_approver, approval)
    assert answer.status_code == 409
    assert "withdrawn already" in text(answer)


def test_roll_back_is_one_click_and_the_page_shows_how_it_went(world: World, as_operator: Client) -> None:
    release = world.at(10, world.start())
    page = as_operator.post(f"/releases/{release.pk}/roll-back/", follow=True)
    assert "Rolling back" in text(page)
    world.until("aborted", release, requests=10)
    assert "Verified: nobody reaches the canary" in text(as_operator.get(f"/releases/{release.pk}/"))


def test_pause_and_resume(world: World, as_operator: Client) -> None:
    release = world.at(10, world.start())
    as_operator.post(f"/releases/{release.pk}/pause/", {"reason": "lunch"})
    assert "Paused: manual" in text(as_operator.get(f"/releases/{release.pk}/"))
    as_operator.post(f"/releases/{release.pk}/resume/")
    release.refresh_from_db()
    assert release.state == "baking"


def test_raising_the_weight_by_hand_is_refused_with_the_reason_and_kept_for_an_approver(
    world: World, as_operator: Client, as_approver: Client
) -> None:
    release = world.at(10, world.start())
    fields = {
        "expected": str(world.route().revision), "reason": "faster than the release", f"role:{BASELINE}": "split",
        f"weight:{BASELINE}": "60", f"role:{CANDIDATE}": "split", f"weight:{CANDIDATE}": "40",
        f"canary:{CANDIDATE}": "on",
    }  # fmt: skip
    answer = as_operator.post("/traffic/demo/split/", {**fields, "override": "on"})
    assert answer.status_code == 422
    assert f"gets more traffic only by release {release.pk}" in text(answer)
    assert world.weight() == 10
    assert as_approver.post("/traffic/demo/split/", {**fields, "override": "on"}).status_code == 302
    world.tick(requests=40)
    release.refresh_from_db()
    assert (release.state, release.pause, world.weight()) == ("paused", "override", 40)
    assert "Override" in text(as_operator.get("/audit/"))


def test_the_traffic_page_shows_the_release_and_its_way_back(world: World, as_operator: Client) -> None:
    release = world.at(10, world.start())
    page = text(as_operator.get("/traffic/demo/"))
    assert f"Release {release.pk}" in page
    assert f"Roll back: {CANDIDATE} 0 %" in page


def test_a_waiver_is_asked_of_an_approver_and_stays_red(world: World, as_approver: Client) -> None:
    release = world.until("held", world.start(verdict="failed"))
    answer = as_approver.post(f"/releases/{release.pk}/waive/", {"reason": "known flake of the disk", "hours": "24"})
    assert answer.status_code == 302
    page = text(as_approver.get(f"/releases/{release.pk}/"))
    assert "Gate waived" in page
    assert "known flake of the disk" in page
    assert AuditEvent.objects.filter(action="release.waive").exists()


def test_breaking_the_glass_is_for_admins_only(
    world: World, as_approver: Client, client_of: Callable[[User], Client], admin: User
) -> None:
    approval = world.pending(world.until("awaiting_approval", world.start()))
    fields = {"reason": "everything else is down", "incident": "https://incidents.example/7"}
    assert as_approver.post(f"/approvals/{approval.pk}/break-glass/", fields).status_code == 403
    assert client_of(admin).post(f"/approvals/{approval.pk}/break-glass/", {"reason": ""}).status_code == 422
    assert client_of(admin).post(f"/approvals/{approval.pk}/break-glass/", fields).status_code == 302
    assert "Glass broken" in text(client_of(admin).get("/audit/"))


def test_what_if_replays_recorded_releases_under_other_settings(world: World, as_operator: Client) -> None:
    world.until("rolled_back", world.until("rolling_back", world.at(10, world.start()), requests=40, bad=0.5))
    asked = {"blame": "0.5", "protect": "0.5", "error_rate": "0.5", "late_share": "5", "block_requests": "60",
             "block_seconds": "60"}  # fmt: skip
    as_it_was = text(as_operator.get("/releases/what-if/", asked))
    assert "would have rolled back 1 of 1 release" in as_it_was
    stricter = text(as_operator.get("/releases/what-if/", {**asked, "blame": "0.001"}))
    assert "would have rolled back 0 of 1 release" in stricter
    assert as_operator.get("/releases/what-if/", {**asked, "blame": "90"}).status_code == 422
    assert "Replay" in text(as_operator.get("/releases/what-if/"))


def test_templates_of_migrations_are_offered_for_engines_that_are_there(
    world: World, as_operator: Client, make_engine: Callable[..., Any]
) -> None:
    assert "vLLM 100 %" not in text(as_operator.get("/releases/new/"))
    make_engine("vllm-a", kind="vllm")
    page = text(as_operator.get("/releases/new/"))
    assert "?candidate=vllm-a&amp;policy=migrate" in page


def fields_of(client: Client, address: str) -> dict[str, str]:
    """What the form of a policy would send unchanged."""
    form = client.get(address).context["form"]
    values = {bound.html_name: bound.value() for bound in form}
    sent = {name: value for name, value in values.items() if value is not None and value is not False}
    return {name: "on" if value is True else str(value) for name, value in sent.items()}


def test_a_release_policy_is_edited_into_its_next_version(world: World, as_operator: Client) -> None:
    address = "/releases/policies/demo/"
    fields = {**fields_of(as_operator, address), "dwell_1": "30", "reason": "bake longer at ten per cent"}
    assert as_operator.post(address, fields).status_code == 302
    page = text(as_operator.get(address))
    assert "version 2" in page
    late = as_operator.post(address, {**fields, "dwell_1": "40"})
    assert late.status_code == 409
    assert "Somebody saved demo v2 meanwhile" in text(late)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_3": "90"}, "weights rise from at least 1 to exactly 100"),
        ({"weight_1": "60"}, "weights rise"),
        ({"blind_seconds": "0"}, "greater than or equal to"),
        ({"reason": ""}, "Say why"),
    ],
)
def test_a_bad_release_policy_is_refused_and_nothing_is_saved(
    world: World, as_operator: Client, changes: dict[str, str], words: str
) -> None:
    address = "/releases/policies/demo/"
    answer = as_operator.post(address, {**fields_of(as_operator, address), "reason": "for a test only", **changes})
    assert answer.status_code == 422
    assert words in text(answer)
    assert "version 1" in text(as_operator.get(address))


def test_a_new_release_policy_is_made_and_a_viewer_only_reads_it(
    world: World, as_operator: Client, client_of: Callable[[User], Client], viewer: User
) -> None:
    fields = {**fields_of(as_operator, "/releases/policies/new/"), "name": "careful", "reason": "for the big model"}
    assert as_operator.post("/releases/policies/new/", fields).status_code == 302
    page = text(client_of(viewer).get("/releases/policies/careful/"))
    assert "10 %" in page
    assert "<form" not in page.split("<main", 1)[1]
    assert client_of(viewer).post("/releases/policies/careful/", fields).status_code == 403
