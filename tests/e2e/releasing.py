"""Releases on the running product without a browser: short policies, a fake candidate, the command line."""

import json
import os
import subprocess
import sys
from dataclasses import replace

from gates import policy as gate_policy
from gates import release_policy
from gates.policy import OpenLoop, Policy, Step
from gates.release_policy import ReleasePolicy, Stage
from tests.e2e.stack import ROOT, Stack, wait_for

BRIEF = Policy(
    name="brief-gate",
    step=Step(levels=(1,), level_seconds=1, level_completions=2, level_cap_seconds=5),
    spike=OpenLoop(rate=5, seconds=2),
    soak=OpenLoop(rate=5, seconds=4),
    warm_up_requests=2,
    window_seconds=2,
    window_minimum=5,
)
FAST = ReleasePolicy(
    name="fast",
    gate_policy=BRIEF.name,
    stages=(
        Stage(weight=10, dwell_seconds=600, min_samples=5, approval=True),
        Stage(weight=50, dwell_seconds=4, min_samples=5),
        Stage(weight=100, dwell_seconds=4, min_samples=5, approval=True),
    ),
    progress_seconds=120,
    drain_seconds=5,
    cooldown_seconds=1,
)
SHORT = replace(FAST, name="short", stages=(replace(FAST.stages[0], dwell_seconds=4), *FAST.stages[1:]))
PREPARE = """
import json
from engines.actions import EngineSpec, register_engine, set_state
from engines.actors import BOOTSTRAP
from engines.models import Engine
from gates import actions, policy, release_policies, release_policy
actions.create_policy({gate!r}, policy.from_json(json.loads({gate_body!r})), actor=BOOTSTRAP, reason="test")
for body in json.loads({release_bodies!r}):
    release_policies.create(body["name"], release_policy.from_json(body), actor=BOOTSTRAP, reason="test")
"""
REGISTER = """
from engines.actions import EngineSpec, register_engine, set_state
from engines.actors import BOOTSTRAP
from engines.models import Engine
engine = register_engine(EngineSpec(name={name!r}, kind="vllm", served_model="m"), replicas=[({url!r}, "")],
                         actor=BOOTSTRAP, reason="test")
set_state(engine, Engine.State.ACTIVE, actor=BOOTSTRAP, reason="test")
"""

JOIN = """
from engines.actors import BOOTSTRAP
from routing import actions
from routing.models import Route
from routing.publish import members_from_json
from routing.table import Member, Role
route = Route.objects.get(name="demo")
members = [*members_from_json(route.current().members), Member({name!r}, Role.STANDBY, 0)]
actions.change_split("demo", members, expected=route.revision, actor=BOOTSTRAP, reason="test")
"""
FORGET = """
from engines.actors import BOOTSTRAP
from engines.models import Engine
from routing import actions
from routing.models import Route
from routing.publish import members_from_json
route = Route.objects.get(name="demo")
left = [member for member in members_from_json(route.current().members) if member.engine != {name!r}]
actions.change_split("demo", left, expected=route.revision, actor=BOOTSTRAP, reason="test")
actions.remove_engine(Engine.objects.get(name={name!r}), actor=BOOTSTRAP, reason="test")
"""


class Releasing:
    """Acts in the names of the demo's operator and approver."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def manage(self, *arguments: str, **environment: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        surroundings = {**os.environ, **self.stack.environment, **environment}
        done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def prepare(self) -> None:
        bodies = json.dumps([release_policy.to_json(policy) for policy in (FAST, SHORT)])
        body = json.dumps(gate_policy.to_json(BRIEF))
        self.manage("shell", "-c", PREPARE.format(gate=BRIEF.name, gate_body=body, release_bodies=bodies))

    def register(self, name: str, url: str) -> None:
        self.manage("shell", "-c", REGISTER.format(name=name, url=url))
        wait_for(lambda: self.stack.healthz()["engines"].get(name, {}).get("can_take_traffic"), seconds=30, what=name)

    def join(self, name: str) -> None:
        """As a standby of the demo route: reached only by who names it."""
        self.manage("shell", "-c", JOIN.format(name=name))

    def forget(self, name: str) -> None:
        """Other tests find the route and the engines as they were."""
        self.manage("shell", "-c", FORGET.format(name=name))

    def start(self, candidate: str, policy: str, *, evidence: int | None = None) -> int:
        name = self.stack.user("operator")["name"]
        options = ["--route", "demo", "--candidate", candidate, "--policy", policy, "--note", "for the live test"]
        options += ["--evidence", str(evidence)] if evidence else []
        out = self.manage("release", "start", *options, "--as", name)
        return int(out.split()[1].rstrip(":"))

    def gated(self, candidate: str, policy: str) -> int:
        """A release that waits for its first approval. A gate that other work here made INVALID runs again."""
        for _ in range(3):
            release = self.start(candidate, policy)
            if self.reaches(release, "awaiting_approval", "held", seconds=120) == "awaiting_approval":
                return release
            assert "invalid" in self.manage("release", "status", str(release)), "the gate failed for another reason"
            self.act("abort", release)
        raise AssertionError("the load generator was starved three times")

    def passed_run(self) -> int | None:
        """The newest gate run that passed."""
        rows = [json.loads(line) for line in self.manage("gate", "list", "--json").splitlines()]
        return next((int(row["run"]) for row in rows if row["state"] == "passed"), None)

    def state(self, release: int) -> str:
        rows = [json.loads(line) for line in self.manage("release", "list", "--json").splitlines()]
        return str(next(row["state"] for row in rows if row["release"] == release))

    def reaches(self, release: int, *states: str, seconds: float) -> str:
        return wait_for(
            lambda: (found := self.state(release)) in states and found, seconds=seconds, what=f"one of {states}"
        )

    def approve(self, release: int) -> None:
        user = self.stack.user("approver")
        self.manage("release", "approve", str(release), "--as", user["name"], CONSOLE_PASSWORD=user["password"])

    def act(self, verb: str, release: int) -> None:
        self.manage("release", verb, str(release), "--as", self.stack.user("operator")["name"])

    def failures(self) -> dict[str, int]:
        """Client requests that did not end well, by the engine that the split assigned."""
        code = (
            "import json, collections; from routing.models import OutcomeRecord;"
            "rows = OutcomeRecord.objects.filter(source='client', route='demo').exclude(result='ok');"
            "print(json.dumps(collections.Counter(row.body['arm'] or '' for row in rows)))"
        )
        return dict(json.loads(self.manage("shell", "-c", code).strip().splitlines()[-1]))

    def weights(self) -> dict[str, int]:
        code = (
            "import json; from routing.models import Route;"
            "print(json.dumps({m['engine']: m['weight'] for m in Route.objects.get(name='demo').current().members}))"
        )
        return dict(json.loads(self.manage("shell", "-c", code).strip().splitlines()[-1]))
