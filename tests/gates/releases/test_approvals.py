"""Leave is given once, by another person, for exactly what was asked."""

from datetime import timedelta

import pytest

from engines.actions import EngineSpec, edit_engine
from engines.models import Engine
from gates import approvals, release_actions, release_policies
from gates.approvals import Refused, Stale
from gates.models import Approval, GateRun, Release
from gates.release_policy import DEMO, ReleasePolicy
from tests.gates.releases.world import ARNO, CANDIDATE, OLGA, World

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture
def waiting(world: World) -> Release:
    return world.until("awaiting_approval", world.start())


def approve(world: World, release: Release, **changes: object) -> Approval:
    facts = {"actor": ARNO, "comment": "", "reauthenticated": True, **changes}
    return approvals.approve(world.pending(release), **facts)


def test_the_requester_may_not_approve(world: World, waiting: Release) -> None:
    with pytest.raises(Refused, match="another person"):
        approve(world, waiting, actor=OLGA)
    assert world.pending(waiting)


def test_without_the_password_nothing_is_approved(world: World, waiting: Release) -> None:
    with pytest.raises(Refused, match="password"):
        approve(world, waiting, reauthenticated=False)


def test_a_second_approval_of_the_same_request_is_refused(world: World, waiting: Release) -> None:
    approval = approve(world, waiting)
    with pytest.raises(Refused, match="approved by arno already"):
        approvals.approve(approval, actor=ARNO, reauthenticated=True)


def test_an_approval_is_used_up_by_its_shift(world: World, waiting: Release) -> None:
    approval = approve(world, waiting)
    world.until("shifting", waiting)
    approval.refresh_from_db()
    assert approval.state == Approval.State.USED


def test_a_candidate_that_changed_makes_the_request_stale(world: World, waiting: Release) -> None:
    Engine.objects.filter(name=CANDIDATE).update(served_model="another")
    with pytest.raises(Stale, match="is not what was tested: served model"):
        approve(world, waiting)
    world.tick()
    waiting.refresh_from_db()
    assert waiting.state == "held"
    assert Approval.objects.get().state == Approval.State.STALE


def test_a_newer_failing_run_makes_the_request_stale(world: World, waiting: Release) -> None:
    first = waiting.gate_run
    assert first is not None
    GateRun.objects.create(
        policy=first.policy, target_kind="engine", target=CANDIDATE, state="failed", state_since=world.now, seed=1,
        actor_kind="user", actor_id="1", actor_name="x", created_at=world.now,
    )  # fmt: skip
    with pytest.raises(Stale, match="failed since"):
        approve(world, waiting)


def test_a_new_version_of_the_policy_makes_the_request_stale(world: World, waiting: Release) -> None:
    release_policies.create("demo", ReleasePolicy(name="demo", stages=DEMO.stages[:1] + DEMO.stages[2:]),
                            actor=OLGA, reason="fewer stages")  # fmt: skip
    with pytest.raises(Stale, match="version 2 now"):
        approve(world, waiting)


def test_evidence_grows_old(world: World, waiting: Release) -> None:
    GateRun.objects.update(finished_at=world.now - timedelta(days=8))
    with pytest.raises(Stale, match="older than 7 days"):
        approve(world, waiting)


def test_a_change_after_the_approval_and_before_the_shift_voids_it(world: World, waiting: Release) -> None:
    approve(world, waiting)
    Engine.objects.filter(name=CANDIDATE).update(context_length=99)
    world.tick()
    waiting.refresh_from_db()
    assert waiting.state == "held"
    assert world.weight() == 0


def test_a_request_that_nobody_decides_expires(world: World, waiting: Release) -> None:
    world.tick(3601)
    waiting.refresh_from_db()
    assert waiting.state == "expired"
    assert Approval.objects.get().state == Approval.State.EXPIRED


def test_an_approval_during_a_roll_back_is_refused(world: World) -> None:
    release = world.until("awaiting_approval", world.at(50, world.start()), requests=40)
    approval = world.pending(release)
    release_actions.abort(release, actor=OLGA)
    with pytest.raises(Refused, match=r"withdrawn already|rolling back"):
        approvals.approve(approval, actor=ARNO, reauthenticated=True)
    world.until("aborted", release, requests=10)
    assert world.weight() == 0


def test_a_rejection_needs_words_and_ends_the_release_at_weight_0(world: World, waiting: Release) -> None:
    with pytest.raises(Refused, match="Say why"):
        approvals.reject(world.pending(waiting), actor=ARNO, comment=" ")
    approvals.reject(world.pending(waiting), actor=ARNO, comment="not this week")
    waiting.refresh_from_db()
    assert waiting.state == "rejected"


def test_a_rejection_above_weight_0_rolls_back_and_ends_rejected(world: World) -> None:
    release = world.until("awaiting_approval", world.at(50, world.start()), requests=40)
    approvals.reject(world.pending(release), actor=ARNO, comment="slower than hoped")
    world.until("rejected", release, requests=10)
    assert world.weight() == 0


def test_breaking_the_glass_needs_an_incident_and_is_marked_for_ever(world: World, waiting: Release) -> None:
    with pytest.raises(Refused, match="incident"):
        approvals.break_glass(world.pending(waiting), actor=OLGA, reason="all is down", incident=" ")
    done = approvals.break_glass(world.pending(waiting), actor=OLGA, reason="all is down", incident="https://i/1")
    assert done.break_glass
    waiting.refresh_from_db()
    assert waiting.state == "approved"


def test_a_waived_gate_goes_on_with_an_approval_and_stays_marked(world: World) -> None:
    held = world.until("held", world.start(verdict="failed"))
    with pytest.raises(Refused, match="another person"):
        release_actions.waive(held, actor=OLGA, reason="known flake", until=world.now + timedelta(hours=2))
    release_actions.waive(held, actor=ARNO, reason="known flake", until=world.now + timedelta(hours=2))
    release = world.at(10, held)
    assert release.waiver["by"] == "arno"


def test_a_waiver_that_ran_out_holds_the_release_again(world: World) -> None:
    held = world.until("held", world.start(verdict="failed"))
    release_actions.waive(held, actor=ARNO, reason="known flake", until=world.now + timedelta(seconds=30))
    world.tick(31)
    held.refresh_from_db()
    assert held.state == "held"


def test_an_edit_by_the_real_action_counts_as_drift(world: World, waiting: Release) -> None:
    engine = Engine.objects.get(name=CANDIDATE)
    spec = EngineSpec(name=CANDIDATE, kind="custom", served_model="v2")
    kept = {row.url: row.sealed_key for row in engine.replicas.all()}
    edit_engine(engine, spec, replicas=kept, actor=OLGA, reason="a newer model")
    with pytest.raises(Stale):
        approve(world, waiting)
