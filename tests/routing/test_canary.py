"""Whose a route is, and what its release may write."""

import pytest

from console.models import AuditEvent
from routing import actions, canary
from routing.actions import Conflict, Governed
from routing.canary import NotOwner
from routing.models import HealthHead, Route, RouteRevision
from routing.publish import members_from_json, publish_health, renew_leases, table_in_force
from routing.shares import weight_of
from routing.split import BUCKETS, assign
from routing.table import Member, Role, from_json
from tests.routing.rows import ANNA, BERT, WHY, make_engine

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
OWNER = "release:1"
BEFORE = (Member("alpha", Role.SPLIT, 100), Member("beta", Role.SPLIT, 0, canary=True))


@pytest.fixture
def route() -> Route:
    make_engine("alpha")
    make_engine("beta")
    actions.create_route("demo", BEFORE, actor=ANNA, reason=WHY)
    return canary.own("demo", OWNER, actor=ANNA, reason=WHY)


def shift(route: Route, weight: int, **changes: object) -> RouteRevision:
    route.refresh_from_db()
    facts = {"expected": route.revision, "epoch": route.epoch, **changes}
    return canary.shift("demo", OWNER, before=BEFORE, canary="beta", weight=weight, actor=ANNA, reason=WHY, **facts)


def zero(owner: str = OWNER) -> RouteRevision:
    return canary.zero("demo", owner, before=BEFORE, canary="beta", cut_after=1.0, actor=ANNA, reason=WHY)


def members() -> list[Member]:
    return list(members_from_json(Route.objects.get().current().members))


def test_only_one_release_owns_a_route(route: Route) -> None:
    assert canary.own("demo", OWNER, actor=ANNA, reason=WHY).epoch == route.epoch
    with pytest.raises(NotOwner):
        canary.own("demo", "release:2", actor=ANNA, reason=WHY)


def test_the_table_names_the_owner_and_its_epoch(route: Route) -> None:
    shift(route, 10)
    entry = from_json(table_in_force().body).routes["demo"]
    assert (entry.owner, entry.epoch) == (OWNER, 1)
    assert [member.weight for member in entry.members] == [90, 10]


def test_a_walk_to_100_only_adds_keys_and_leaves_the_baseline_standing_by(route: Route) -> None:
    reached: set[int] = set()
    for weight in (10, 50, 100):
        shift(route, weight)
        now = {b for b in range(0, BUCKETS, 7) if (assign(members(), b, b) or BEFORE[0]).engine == "beta"}
        assert reached <= now
        reached = now
    assert {member.engine: member.role for member in members()}["alpha"] is Role.STANDBY


def test_a_stale_revision_or_epoch_writes_nothing(route: Route) -> None:
    with pytest.raises(Conflict):
        shift(route, 10, expected=99)
    with pytest.raises(NotOwner):
        shift(route, 10, epoch=99)
    assert weight_of(members(), "beta") == 0


def test_zero_wins_over_a_shift_that_was_decided_before_it(route: Route) -> None:
    shift(route, 10)
    route.refresh_from_db()
    decided = {"expected": route.revision, "epoch": route.epoch}
    zero()
    with pytest.raises(NotOwner):
        shift(route, 50, **decided)
    assert weight_of(members(), "beta") == 0
    assert not any((assign(members(), b, b) or BEFORE[0]).engine == "beta" for b in range(0, BUCKETS, 7))


def test_zero_again_changes_nothing(route: Route) -> None:
    shift(route, 100)
    first = zero()
    rows, epoch = AuditEvent.objects.count(), Route.objects.get().epoch
    assert zero() == first
    assert (AuditEvent.objects.count(), Route.objects.get().epoch) == (rows, epoch)
    assert [member.weight for member in members()] == [100, 0]


def test_zero_leaves_word_of_the_streams_that_still_run(route: Route) -> None:
    shift(route, 10)
    zero()
    assert Route.objects.get().drain == {"engine": "beta", "epoch": 1, "cut_after": 1.0}


def test_an_operator_lowers_freely_and_the_epoch_moves_on(route: Route) -> None:
    shift(route, 50)
    epoch = Route.objects.get().epoch
    lower = [Member("alpha", Role.SPLIT, 95), Member("beta", Role.SPLIT, 5, canary=True)]
    actions.change_split("demo", lower, expected=Route.objects.get().revision, actor=BERT, reason=WHY)
    assert Route.objects.get().epoch == epoch + 1


def test_raising_by_hand_needs_an_override_that_the_audit_names(route: Route) -> None:
    shift(route, 10)
    raised = [Member("alpha", Role.SPLIT, 70), Member("beta", Role.SPLIT, 30, canary=True)]
    revision = Route.objects.get().revision
    with pytest.raises(Governed, match="only by release 1"):
        actions.change_split("demo", raised, expected=revision, actor=BERT, reason=WHY)
    assert weight_of(members(), "beta") == 10
    actions.change_split("demo", raised, expected=revision, actor=BERT, reason=WHY, override=True)
    assert AuditEvent.objects.order_by("-sequence").first().after["override of"] == OWNER


def test_a_governed_route_without_a_release_refuses_too(route: Route) -> None:
    canary.disown("demo", OWNER, actor=ANNA, reason=WHY)
    canary.govern("demo", governed=True, actor=ANNA, reason=WHY)
    raised = [Member("alpha", Role.SPLIT, 70), Member("beta", Role.SPLIT, 30, canary=True)]
    with pytest.raises(Governed, match="governed route"):
        actions.change_split("demo", raised, expected=1, actor=BERT, reason=WHY)


def test_a_final_release_leaves_a_route_that_nobody_owns(route: Route) -> None:
    shift(route, 100)
    canary.finalise("demo", OWNER, canary="beta", epoch=1, actor=ANNA, reason=WHY)
    found = Route.objects.get()
    assert (found.owner, found.epoch) == ("", 2)
    assert [(member.engine, member.weight, member.canary) for member in members()] == [
        ("alpha", 0, False),
        ("beta", 100, False),
    ]


def test_only_all_of_the_weight_can_be_final(route: Route) -> None:
    shift(route, 50)
    with pytest.raises(ValueError, match="does not have all the weight"):
        canary.finalise("demo", OWNER, canary="beta", epoch=1, actor=ANNA, reason=WHY)


def test_a_lease_lives_beside_health_and_ends_with_the_ownership(route: Route) -> None:
    now = route.created_at
    renew_leases(["demo"], now)
    publish_health({}, now=now)
    assert HealthHead.objects.get().body["leases"] == {"demo": now.timestamp()}
    canary.disown("demo", OWNER, actor=ANNA, reason=WHY)
    renew_leases([], now)
    assert HealthHead.objects.get().body["leases"] == {}


def test_a_mirror_is_set_and_ends_with_the_ownership(route: Route) -> None:
    canary.set_shadow("demo", OWNER, {"engine": "beta", "percent": 10}, actor=ANNA, reason=WHY)
    assert from_json(table_in_force().body).routes["demo"].shadow == {"engine": "beta", "percent": 10}
    canary.disown("demo", OWNER, actor=ANNA, reason=WHY)
    assert Route.objects.get().shadow == {}
