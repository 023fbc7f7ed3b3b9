"""A route with a baseline and a candidate, one gateway that reports, clients that ask, and a clock that tests move."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from engines.actors import Actor
from engines.models import Replica
from gates import actions as gate_actions
from gates import approvals, release_actions, release_policies
from gates.models import Approval, GateRun, Release, ReleasePolicyVersion
from gates.walk import Walk
from routing.models import GatewayReport, Route
from routing.outcomes import Attempt, Outcome, Result, Source, to_json
from routing.publish import members_from_json, table_in_force
from routing.rollup import save_outcomes
from routing.shares import weight_of

OLGA = Actor("user", "7", "olga")
ARNO = Actor("user", "8", "arno")
CANDIDATE, BASELINE = "hf-demo-b", "hf-demo"


class World:
    """Needs the fixture demo_route. `outage` of the database is not played here; see the live tests."""

    def __init__(self, policy: str = "demo") -> None:
        gate_actions.ensure_built_in()
        release_policies.ensure_built_in()
        Replica.objects.update(in_rotation=True)
        self.now = datetime.now(UTC)
        self.walk = Walk()
        self.numbers = itertools.count()
        self.gateway_knows = True
        self.trips: list[dict[str, Any]] = []
        self.streams = {"epoch": 1, "open": 0, "finished": 0, "cut": 0}
        self.policy = release_policies.newest(policy)

    def start(self, *, verdict: str = "passed", grade: str = "proven") -> Release:
        assert isinstance(self.policy, ReleasePolicyVersion)
        release = release_actions.create_release("demo", CANDIDATE, self.policy, actor=OLGA, note="a better one")
        self.judge(release, verdict=verdict, grade=grade)
        return release

    def judge(self, release: Release, *, verdict: str = "passed", grade: str = "proven") -> None:
        release.refresh_from_db()
        judgement = {"digest": f"j{release.gate_run_id}", "findings": [{"grade": grade}]}
        GateRun.objects.filter(pk=release.gate_run_id).update(
            state=verdict, verdict=verdict, judgement=judgement, finished_at=self.now
        )

    def route(self) -> Route:
        return Route.objects.get(name="demo")

    def weight(self) -> int:
        return weight_of(members_from_json(self.route().current().members), CANDIDATE)

    def report(self) -> None:
        """The gateway says what it knows, unless it is silent."""
        if not self.gateway_knows:
            return
        newest = table_in_force()
        body = {
            "decided_until": {"demo": self.now.timestamp()}, "trips": self.trips, "drains": {"demo": self.streams}
        }  # fmt: skip
        GatewayReport.objects.update_or_create(
            gateway_id="g1", defaults={"at": self.now, "table_version": newest.version if newest else 0, "body": body}
        )

    def ask(self, n: int, *, bad: float = 0.0, baseline_bad: float = 0.0, share: float | None = None) -> None:
        """`n` client requests spread over the last second, split as the table says (or by `share`)."""
        weight = self.weight()
        part = weight / 100 if share is None else share
        rows = []
        for i in range(n):
            canary = weight > 0 and int((i + 1) * part) > int(i * part)
            failed = (i * 7919 % 100) / 100 < (bad if canary else baseline_bad)
            rows.append(self._outcome(i / n, canary=canary, failed=failed, weight=weight))
        save_outcomes(rows)

    def _outcome(self, at: float, *, canary: bool, failed: bool, weight: int) -> dict[str, Any]:
        name = f"r{next(self.numbers)}"
        engine = CANDIDATE if canary else BASELINE
        result = Result.RESET if failed else Result.OK
        candidates = [{"engine": CANDIDATE, "weight": weight}, {"engine": BASELINE, "weight": 100 - weight}]
        return to_json(
            Outcome(
                request_id=name, decision_id=name, assigned_at=self.now.timestamp() - 1 + at, route="demo",
                operation="chat", source=Source.CLIENT, key_id=1, stream=True, arm=engine, canary=canary, rule="split",
                engine=engine, sticky_bucket=1, sticky_unit="request", result=result, first_attempt=result, status=200,
                ttft=0.1, e2e=0.5, attempts=(Attempt(engine=engine, replica=1, result=result, started=0.0),),
                decision={"candidates": candidates},
            )
        )  # fmt: skip

    def tick(self, seconds: float = 2.0, *, requests: int = 0, **traffic: Any) -> None:
        """Time passes, clients ask, the gateway reports, the controller looks."""
        self.now += timedelta(seconds=seconds)
        if requests:
            self.ask(requests, **traffic)
        self.report()
        self.walk.tick(self.now)

    def until(self, state: str, release: Release, *, looks: int = 60, **traffic: Any) -> Release:
        for _ in range(looks):
            release.refresh_from_db()
            if release.state == state:
                return release
            self.tick(**traffic)
        raise AssertionError(f"still {release.state} ({release.reason}), not {state}")

    def pending(self, release: Release) -> Approval:
        return Approval.objects.get(release=release, state=Approval.State.PENDING)

    def approve(self, release: Release) -> Approval:
        return approvals.approve(self.pending(release), actor=ARNO, comment="looks good", reauthenticated=True)

    def at(self, weight: int, release: Release, **traffic: Any) -> Release:
        """Walk to BAKING (or PROMOTED) at `weight`, approving on the way."""
        for _ in range(200):
            release.refresh_from_db()
            if release.state in {"baking", "promoted"} and release.stage == weight:
                return release
            if release.state == "awaiting_approval":
                self.approve(release)
            self.tick(requests=40, **traffic)
        raise AssertionError(f"still {release.state} at {release.stage} ({release.reason})")
