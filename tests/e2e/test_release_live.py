"""A canary that goes bad under live traffic, and one that nobody watches any more."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e.clients import Clients
from tests.e2e.releasing import Releasing
from tests.e2e.stack import Stack, wait_for
from tests.fakes.engine import FakeEngine, serve

pytestmark = pytest.mark.stack


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    with serve(first_delay=0.02) as engine:
        yield engine


@pytest.fixture(scope="module")
def releasing(stack: Stack) -> Releasing:
    made = Releasing(stack)
    made.prepare()
    return made


def baking(releasing: Releasing, fake: FakeEngine, name: str) -> int:
    """A release of the fake that bakes at 10 %, while clients ask."""
    releasing.register(name, fake.url)
    release = releasing.gated(name, "fast")
    releasing.approve(release)
    releasing.reaches(release, "baking", seconds=90)
    return release


def test_a_canary_that_is_half_bad_goes_back_within_a_minute_and_no_baseline_client_sees_an_error(
    releasing: Releasing, fake: FakeEngine, stack: Stack
) -> None:
    with Clients(stack, 10) as clients:
        release = baking(releasing, fake, "half-bad")
        fake.bad_every = 2
        begun = time.monotonic()
        wait_for(lambda: releasing.weights()["half-bad"] == 0, seconds=60, what="the canary is at 0")
        print(f"canary at 0 after {time.monotonic() - begun:.1f} s")
        assert releasing.reaches(release, "rolled_back", seconds=60) == "rolled_back"
        reached = fake.generations
        time.sleep(3)
        assert fake.generations <= reached + 1, "a probe at most"
    assert clients.ends["ok"] > 0.9 * clients.ends.total(), clients.ends
    wait_for(lambda: "half-bad" in releasing.failures(), seconds=10, what="outcomes are saved")
    assert "hf-demo" not in releasing.failures()
    releasing.forget("half-bad")


@pytest.mark.soak
def test_with_the_controller_stopped_the_canary_falls_to_0_by_itself_and_is_rolled_back_when_it_is_back(
    releasing: Releasing, fake: FakeEngine, stack: Stack
) -> None:
    with Clients(stack, 10) as clients:
        release = baking(releasing, fake, "unwatched")
        controller = stack.pid("controller")
        os.kill(controller, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            wait_for(lambda: quiet(fake), seconds=75, what="no request reaches the canary")
            print(f"canary without traffic after {time.monotonic() - begun:.1f} s")
            assert releasing.state(release) == "baking", "nothing was promoted, nobody decided"
        finally:
            os.kill(controller, signal.SIGCONT)
        assert releasing.reaches(release, "rolled_back", seconds=60) == "rolled_back"
    assert set(clients.ends) == {"ok"}, clients.ends
    releasing.forget("unwatched")


def quiet(fake: FakeEngine) -> bool:
    """Five seconds in which nobody came, at ten requests a second of which one in ten is the canary's."""
    before = fake.generations
    time.sleep(5)
    return fake.generations == before
