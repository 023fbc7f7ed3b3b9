"""The six failures of a widely used rollout controller (reliability.md D9), each as a test by its name."""

import pytest

from engines.models import Replica
from gates import release_actions
from gates.models import Release
from gates.walk import Walk
from routing import actions as routing_actions
from routing.models import Route
from routing.publish import members_from_json
from routing.split import BUCKETS, assign
from routing.table import Member, Role
from tests.gates.releases.world import ARNO, BASELINE, CANDIDATE, OLGA, World

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def test_4461_an_abort_wins_after_full_promotion_was_approved(world: World) -> None:
    release = world.until("awaiting_approval", world.at(50, world.start()), requests=40)
    world.approve(release)
    release_actions.abort(Release.objects.get(pk=release.pk), actor=OLGA)
    world.tick(requests=10)
    assert world.weight() == 0
    world.until("aborted", release, requests=10)


def test_4461_an_abort_wins_while_the_weight_of_100_is_being_written(world: World) -> None:
    release = world.until("awaiting_approval", world.at(50, world.start()), requests=40)
    world.approve(release)
    world.until("shifting", release, requests=10)
    assert world.weight() == 100
    release_actions.abort(Release.objects.get(pk=release.pk), actor=OLGA)
    world.tick(requests=10)
    assert world.weight() == 0


def test_4841_no_abort_leaves_weight_on_the_canary(world: World) -> None:
    for weight in (10, 50, 100):
        release = world.at(weight, world.start())
        release_actions.abort(release, actor=OLGA)
        world.until("aborted", release, requests=10)
        assert world.weight() == 0
        assert sum(member.weight for member in members_from_json(world.route().current().members)) == 100


def test_1665_weights_do_not_rise_again_when_the_controller_restarts_after_an_abort(world: World) -> None:
    release = world.at(50, world.start())
    release_actions.abort(release, actor=OLGA)
    for _ in range(8):
        world.walk = Walk()
        world.tick(requests=10)
        assert world.weight() == 0
    release.refresh_from_db()
    assert release.state in {"rolling_back", "aborted"}
    world.until("aborted", release, requests=10)


def test_1838_no_session_reaches_the_canary_after_an_abort(world: World) -> None:
    release = world.at(50, world.start())
    release_actions.abort(release, actor=OLGA)
    world.tick(requests=10)
    members = members_from_json(world.route().current().members)
    reached = {(assign(members, bucket, bucket) or members[0]).engine for bucket in range(BUCKETS)}
    assert reached == {BASELINE}


def test_3873_an_inconclusive_analysis_promotes_nothing(world: World) -> None:
    held = world.until("held", world.start(verdict="inconclusive"))
    for _ in range(5):
        world.tick(requests=40)
    held.refresh_from_db()
    assert (held.state, world.weight()) == ("held", 0)


def test_3873_a_bake_without_its_samples_is_no_pass(world: World) -> None:
    release = world.at(10, world.start())
    for _ in range(20):
        world.tick(4)
    release.refresh_from_db()
    assert release.state == "paused"
    assert world.weight() <= 50


def test_1774_an_operator_may_go_forward_when_the_baseline_is_the_bad_one(world: World) -> None:
    release = world.at(50, world.start())
    Replica.objects.filter(engine__name=BASELINE).update(in_rotation=False)
    route = Route.objects.get()
    forward = [Member(BASELINE, Role.STANDBY), Member(CANDIDATE, Role.SPLIT, 100, canary=True)]
    routing_actions.change_split(
        "demo", forward, expected=route.revision, actor=ARNO, reason="the baseline is down", override=True
    )
    world.tick(requests=40)
    release.refresh_from_db()
    assert (release.state, release.pause) == ("paused", "override")
    assert world.weight() == 100


def test_1774_a_roll_back_to_an_unhealthy_baseline_says_so(world: World) -> None:
    release = world.at(50, world.start())
    Replica.objects.filter(engine__name=BASELINE).update(in_rotation=False)
    release = world.until("rolling_back", release, requests=40, bad=0.6)
    assert "The baseline is out of rotation too" in release.reason
