"""A release walks from its gate to all of the traffic, and back when users suffer."""

import pytest

from console.models import AuditEvent
from gates.models import Approval, DetectorPoint, ReleaseTransition
from gates.walk import Walk
from routing.models import HealthHead, Route
from routing.publish import members_from_json
from routing.rollup import save_outcomes
from routing.table import Role
from tests.gates.releases.world import ARNO, BASELINE, CANDIDATE, World

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def states(release) -> list[str]:
    return list(ReleaseTransition.objects.filter(release=release).order_by("pk").values_list("after", flat=True))


def test_a_good_candidate_gets_everything_and_the_route_is_nobodys_again(world: World) -> None:
    release = world.at(100, world.start())
    release = world.until("final", release, requests=40)
    assert states(release) == [
        "gating", "awaiting_approval", "approved", "shifting", "baking", "approved", "shifting", "baking",
        "awaiting_approval", "approved", "shifting", "promoted", "final",
    ]  # fmt: skip
    members = {member.engine: member for member in members_from_json(world.route().current().members)}
    assert (members[CANDIDATE].weight, members[CANDIDATE].canary) == (100, False)
    assert members[BASELINE].role is Role.STANDBY
    assert world.route().owner == ""
    assert set(Approval.objects.values_list("state", flat=True)) == {"used"}
    seen = set(AuditEvent.objects.filter(subject=f"release:{release.pk}").values_list("action", flat=True))
    assert {"release.create", "release.gating", "release.shifting", "release.promoted", "release.final"} <= seen


def test_a_canary_that_is_half_bad_goes_to_zero_and_is_blamed(world: World) -> None:
    release = world.at(10, world.start())
    release = world.until("rolling_back", release, requests=40, bad=0.5)
    assert release.cause == "blame"
    assert world.weight() == 0
    release = world.until("rolled_back", release, requests=40)
    assert release.rollback["zero_at"] > release.rollback["asked_at"]
    assert world.route().owner == ""


def test_an_outage_of_both_arms_rolls_back_without_blame(world: World) -> None:
    release = world.at(50, world.start())
    release = world.until("rolling_back", release, looks=200, requests=40, bad=0.6, baseline_bad=0.6)
    assert release.cause == "protect"


def test_a_trip_of_a_gateway_is_followed_by_the_release(world: World) -> None:
    release = world.at(10, world.start())
    route = world.route()
    world.trips = [{"route": "demo", "owner": route.owner, "epoch": route.epoch, "reason": "5 failures in a row"}]
    world.tick(requests=10)
    release.refresh_from_db()
    assert (release.state, release.cause) == ("rolling_back", "outage")


def test_the_lease_is_renewed_while_the_canary_has_weight_waiting_for_approval_included(world: World) -> None:
    release = world.until("awaiting_approval", world.at(50, world.start()), requests=40)
    world.tick(requests=40)
    assert HealthHead.objects.get().body["leases"] == {"demo": world.now.timestamp()}
    world.until("rolling_back", release, requests=40, bad=0.5)


def test_a_controller_that_was_away_for_a_minute_takes_the_canary_back(world: World) -> None:
    release = world.at(10, world.start())
    world.tick(61, requests=10)
    release.refresh_from_db()
    assert (release.state, release.cause) == ("rolling_back", "lease")


def test_a_new_controller_comes_to_the_same_evidence(world: World) -> None:
    release = world.at(10, world.start())
    for _ in range(4):
        world.tick(requests=40, bad=0.03, baseline_bad=0.03)
    release.refresh_from_db()
    before = release.detectors
    world.walk = Walk()
    world.tick(0)
    release.refresh_from_db()
    assert release.detectors == before
    assert before["counts"]["errors"]["canary"] > 0


def test_no_traffic_pauses_and_data_resumes(world: World) -> None:
    release = world.at(10, world.start())
    for _ in range(13):
        world.tick(5)
    release.refresh_from_db()
    assert (release.state, release.pause) == ("paused", "no_traffic")
    release = world.until("baking", release, requests=40)
    assert release.pause == ""


def test_a_silent_gateway_pauses_as_blind_and_then_rolls_back(world: World) -> None:
    release = world.at(10, world.start())
    world.gateway_knows = False
    for _ in range(5):
        world.tick(12)
    release.refresh_from_db()
    assert (release.state, release.pause) == ("paused", "blind")
    for _ in range(2):
        world.tick(12)
    release.refresh_from_db()
    assert release.state == "rolling_back"
    assert world.weight() == 0


def test_a_split_that_does_not_come_pauses_the_walk(world: World) -> None:
    release = world.at(10, world.start())
    for _ in range(20):
        world.tick(requests=40, share=0.45)
    release.refresh_from_db()
    assert (release.state, release.pause) == ("paused", "srm")


def test_streams_of_the_canary_are_waited_for_and_counted(world: World) -> None:
    release = world.at(10, world.start())
    world.until("rolling_back", release, requests=40, bad=0.5)
    world.streams = {"epoch": 1, "open": 2, "finished": 3, "cut": 0}
    for _ in range(5):
        world.tick(requests=10)
    release.refresh_from_db()
    assert release.state == "rolling_back"
    world.streams = {"epoch": 1, "open": 0, "finished": 4, "cut": 1}
    release = world.until("rolled_back", release, requests=10)
    assert (release.rollback["streams_finished"], release.rollback["streams_cut"]) == (4, 1)


def test_a_request_that_still_reached_the_canary_keeps_the_roll_back_open(world: World) -> None:
    release = world.at(10, world.start())
    world.until("rolling_back", release, requests=40, bad=0.5)
    world.tick()
    late = world._outcome(0.5, canary=True, failed=False, weight=10)
    world.tick()
    save_outcomes([late | {"assigned_at": world.now.timestamp()}])
    for _ in range(8):
        world.tick()
    release.refresh_from_db()
    assert release.state == "rolling_back"


@pytest.mark.parametrize("verdict", ["failed", "inconclusive", "invalid", "errored", "interrupted", "cancelled"])
def test_any_other_verdict_than_passed_holds(world: World, verdict: str) -> None:
    release = world.until("held", world.start(verdict=verdict))
    assert world.weight() == 0
    assert verdict in release.reason


def test_evidence_is_charted(world: World) -> None:
    world.at(10, world.start())
    assert DetectorPoint.objects.exists()
    body = DetectorPoint.objects.latest("pk").body
    assert body["blame"]["errors"]["line"] == pytest.approx(2.699)


def test_a_newer_release_waits_until_the_older_one_has_no_weight(world: World) -> None:
    older = world.at(10, world.start())
    newer = world.start()
    older.refresh_from_db()
    assert (older.state, older.cause) == ("rolling_back", "superseded")
    older = world.until("superseded", older, requests=10)
    world.until("awaiting_approval", newer)
    world.approve(newer)
    world.until("shifting", newer, requests=10)
    assert Route.objects.get().owner == f"release:{newer.pk}"


def test_the_same_candidate_cools_down_after_a_roll_back(world: World) -> None:
    first = world.until("rolled_back", world.until("rolling_back", world.at(10, world.start()), requests=40, bad=0.5))
    again = world.until("awaiting_approval", world.start())
    world.approve(again)
    world.tick()
    again.refresh_from_db()
    assert again.state == "approved"
    assert first.candidate_digest == again.candidate_digest
    world.tick(31)
    world.until("shifting", again, requests=10)


def test_an_approver_is_not_the_requester(world: World) -> None:
    assert ARNO.id != world.until("awaiting_approval", world.start()).actor_id
