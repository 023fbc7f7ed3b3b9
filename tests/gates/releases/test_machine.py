"""Any interleaving of operators, approvers, traffic, crashes and second controllers keeps the invariants of a release.

The numbers are those of reliability.md §4.
"""

from contextlib import suppress
from itertools import pairwise
from unittest.mock import patch

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from console.audit import first_broken
from engines.actions import EngineSpec, register_engine, set_state
from engines.models import Engine
from gates import approvals, release_actions
from gates.approvals import Refused
from gates.models import Approval, Release, ReleaseTransition
from gates.release_policy import DEMO
from gates.releases import TERMINAL, State
from gates.walk import Walk
from routing import actions as routing_actions
from routing.actions import Conflict, Governed
from routing.models import RouteRevision
from routing.publish import members_from_json
from routing.shares import weight_of, with_canary
from routing.table import Member, Role
from tests.gates.releases.world import ARNO, BASELINE, CANDIDATE, OLGA, World

STEPS = (0, *DEMO.weights)
ASKED = {stage.weight for stage in DEMO.stages if stage.approval}


class Crash(RuntimeError):
    """The process dies here."""


class Releases(RuleBasedStateMachine):
    """One route, releases of one candidate. Everything happens in a transaction that is taken back at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        for name in (BASELINE, CANDIDATE):
            spec = EngineSpec(name=name, kind="custom", served_model="demo")
            made = register_engine(spec, replicas=[(f"http://127.0.0.1:9000/{name}", "")], actor=OLGA, reason="x")
            set_state(made, Engine.State.ACTIVE, actor=OLGA, reason="x")
        members = [Member(BASELINE, Role.SPLIT, 100), Member(CANDIDATE, Role.SPLIT, 0, canary=True)]
        routing_actions.create_route("demo", members, actor=OLGA, reason="x")
        self.world = World()
        self.aborted: dict[int, bool] = {}  # release → whether a tick has passed since
        self.ended: dict[int, str] = {}

    def teardown(self) -> None:
        broken = first_broken()
        transaction.set_rollback(True)
        self.outer.__exit__(None, None, None)
        assert broken is None, f"I7: the audit chain breaks at {broken}"

    def newest(self) -> Release | None:
        return Release.objects.select_related("policy", "gate_run").order_by("-pk").first()

    # What people do.

    @rule(verdict=st.sampled_from(("passed", "passed", "failed")))
    def request(self, verdict: str) -> None:
        if Release.objects.count() < 4:
            try:
                self.world.start(verdict=verdict)
            except Refused:
                assert self.world.weight() > 0 or self.world.route().owner

    @rule()
    def approve(self) -> None:
        for approval in Approval.objects.filter(state=Approval.State.PENDING):
            try:
                approvals.approve(approval, actor=ARNO, reauthenticated=True)
            except Refused:
                assert approval.release.state != State.AWAITING_APPROVAL or approvals.stale_reason(
                    approval, approval.release, self.world.now
                )

    @rule()
    def approve_ones_own(self) -> None:
        for approval in Approval.objects.filter(state=Approval.State.PENDING):
            with pytest.raises(Refused):
                approvals.approve(approval, actor=OLGA, reauthenticated=True)

    @rule()
    @precondition(lambda self: self.newest() is not None)
    def abort(self) -> None:
        release = self.newest()
        try:
            release_actions.abort(release, actor=OLGA)
        except Refused:
            assert release.state in TERMINAL
        else:
            self.aborted[release.pk] = False

    @rule()
    @precondition(lambda self: self.newest() is not None)
    def pause_or_resume(self) -> None:
        release = self.newest()
        act = release_actions.resume if release.state == State.PAUSED else release_actions.pause
        with suppress(Refused):
            act(release, actor=OLGA, reason="a look")

    @rule(weight=st.integers(0, 99), override=st.booleans())
    def move_by_hand(self, weight: int, override: bool) -> None:
        route = self.world.route()
        current = members_from_json(route.current().members)
        before = weight_of(current, CANDIDATE)
        if before == 100 or not any(member.canary for member in current):
            return
        members = with_canary(current, CANDIDATE, weight)
        try:
            routing_actions.change_split(
                "demo", members, expected=route.revision, actor=OLGA, reason="by hand", override=override
            )
        except Governed:
            assert weight > before
            assert not override
        except Conflict:
            raise AssertionError("nobody else was there") from None

    # What time and processes do.

    @rule(bad=st.sampled_from((0.0, 0.0, 0.0, 0.5)), seconds=st.sampled_from((2.0, 2.0, 9.0, 61.0)))
    def time_passes(self, bad: float, seconds: float) -> None:
        self.world.tick(seconds, requests=40, bad=bad)
        self.aborted = dict.fromkeys(self.aborted, True)

    @rule()
    def nobody_asks(self) -> None:
        self.world.tick(2)
        self.aborted = dict.fromkeys(self.aborted, True)

    @rule()
    def the_controller_restarts(self) -> None:
        self.world.walk = Walk()

    @rule()
    def two_controllers_look_at_once(self) -> None:
        self.world.tick(2, requests=40)
        Walk().tick(self.world.now)
        self.aborted = dict.fromkeys(self.aborted, True)

    @rule(
        where=st.sampled_from(("gates.release_journal.announce", "routing.canary.zero", "routing.revisions.announce"))
    )
    def the_controller_dies_while_it_writes(self, where: str) -> None:
        with patch(where, side_effect=Crash):
            try:
                self.world.tick(2, requests=40)
            except Crash:
                self.world.walk = Walk()

    # What always holds.

    @invariant()
    def i1_every_split_sums_to_100(self) -> None:
        for revision in RouteRevision.objects.all():
            assert sum(member.weight for member in members_from_json(revision.members)) == 100

    @invariant()
    def i5_the_controller_moves_a_canary_one_step_up_or_to_0(self) -> None:
        rows = list(RouteRevision.objects.order_by("number"))
        for older, newer in pairwise(rows):
            if newer.actor_id != "controller":
                continue
            was, now = (weight_of(members_from_json(row.members), CANDIDATE) for row in (older, newer))
            reached = [step for step in STEPS if step <= was]
            following = next((step for step in STEPS if step > reached[-1]), 100)
            assert now in {0, was, following, reached[-1]}, f"I5: {was} → {now}"

    @invariant()
    def i6_a_roll_back_wins_and_stays(self) -> None:
        for number, ticked in self.aborted.items():
            release = Release.objects.get(pk=number)
            newer_owns = self.world.route().owner not in {"", f"release:{number}"}
            if ticked and release.state in {State.ROLLING_BACK, State.ABORTED} and not newer_owns:
                shifted = RouteRevision.objects.filter(
                    actor_id="controller", reason__startswith=f"release {number}: ", at__gt=release.state_since
                )
                assert not shifted.exists(), "I6: it rose again"

    @invariant()
    def i8_nothing_leaves_its_end(self) -> None:
        for release in Release.objects.all():
            if release.pk in self.ended:
                assert release.state == self.ended[release.pk], "I8"
            elif release.state in TERMINAL:
                self.ended[release.pk] = release.state

    @invariant()
    def i14_no_stage_without_its_gate_and_its_approval(self) -> None:
        for row in ReleaseTransition.objects.filter(after=State.SHIFTING).select_related("release__gate_run"):
            used = Approval.objects.filter(release=row.release, state=Approval.State.USED)
            reached = max(
                (weight for weight in DEMO.weights if row.reason == f"The weight of {weight} % is written."), default=0
            )
            asked = {weight for weight in ASKED if weight <= reached}
            assert row.release.gate_run.verdict == "passed", "I14: no gate"
            assert asked <= set(used.values_list("target_stage", flat=True)), "I14: no approval"


LIMITS = settings(stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.django_db
def test_no_interleaving_breaks_an_invariant() -> None:
    """The same 25 walks each time; the long suite draws others."""
    run_state_machine_as_test(Releases, settings=settings(LIMITS, max_examples=25, derandomize=True))


@pytest.mark.soak
@pytest.mark.django_db
def test_no_interleaving_of_many_breaks_an_invariant() -> None:
    without_shrinking = (Phase.explicit, Phase.generate)
    run_state_machine_as_test(Releases, settings=settings(LIMITS, max_examples=200, phases=without_shrinking))
