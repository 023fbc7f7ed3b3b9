"""Twenty short releases while worker, controller, console and gateway are killed at random."""

import random
import time
from collections import Counter

import pytest

from tests.e2e.clients import Clients
from tests.e2e.releasing import Releasing
from tests.e2e.stack import Stack, wait_for
from tests.fakes.engine import serve

pytestmark = [pytest.mark.stack, pytest.mark.soak]

RELEASES = 20
SEED = 41
KILLED = ("worker", "controller", "console", "gateway")
OVER = {"final", "rolled_back", "aborted", "rejected", "expired", "superseded"}


def kill_once(stack: Stack, dice: random.Random, killed: Counter[str]) -> None:
    time.sleep(dice.uniform(0, 6))
    name = dice.choice(KILLED)
    try:
        stack.kill(name)
    except (OSError, ValueError):
        return  # just gone, or being started again
    killed[name] += 1


def walk(stack: Stack, releasing: Releasing, release: int, dice: random.Random, killed: Counter[str]) -> str:
    """Follow one release to its end: approve what it asks for, resume what was interrupted, kill in between."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        state = releasing.state(release)
        if state in OVER:
            return state
        if state != "gating":
            kill_once(stack, dice, killed)
        if state == "awaiting_approval":
            releasing.approve(release)
        elif state == "paused":
            releasing.act("resume", release)
        elif state == "held":
            releasing.act("abort", release)
    raise AssertionError(f"release {release} is still {releasing.state(release)}")


def test_twenty_releases_survive_kills_of_every_process(stack: Stack) -> None:
    dice, killed, ends = random.Random(SEED), Counter[str](), Counter[str]()
    releasing = Releasing(stack)
    releasing.prepare()
    with serve(first_delay=0.02) as fake, Clients(stack, 10):
        releasing.register("walker", fake.url)
        for _ in range(RELEASES):
            release = releasing.start("walker", "short", evidence=releasing.passed_run())
            ends[walk(stack, releasing, release, dice, killed)] += 1
            wait_for(lambda: reset(releasing), seconds=60, what="the route is as it was")
    print(f"seed {SEED}, kills {dict(killed)}, ends {dict(ends)}")
    assert sum(ends.values()) == RELEASES
    code = (
        "from gates.models import Release, ReleaseTransition; from console.audit import first_broken;"
        "from gates.releases import TERMINAL;"
        "rows = list(ReleaseTransition.objects.order_by('pk').values_list('release', 'before', 'after'));"
        "last = {};"
        "[(last.__setitem__(r, a) if last.get(r, b) == b else print('TWICE', r, b, a)) for r, b, a in rows];"
        "print('open', Release.objects.exclude(state__in=TERMINAL).count(), 'broken', first_broken())"
    )
    told = releasing.manage("shell", "-c", code)
    assert "TWICE" not in told
    assert "open 0 broken None" in told


def reset(releasing: Releasing) -> bool:
    """After a final release the candidate has everything: hand it back for the next one."""
    if releasing.weights().get("walker", 0) == 0:
        return True
    code = (
        "from routing import actions; from routing.models import Route; from routing.table import Member, Role;"
        "from engines.actors import BOOTSTRAP; route = Route.objects.get(name='demo');"
        "members = [Member('hf-demo', Role.SPLIT, 100), Member('hf-demo-b', Role.SPLIT, 0, True)];"
        "actions.change_split('demo', members, expected=route.revision, actor=BOOTSTRAP, reason='next release')"
    )
    releasing.manage("shell", "-c", code)
    return False
