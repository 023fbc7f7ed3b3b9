"""The world that the tests of releases play in."""

import pytest

from routing.models import Route
from tests.gates.releases.world import World


@pytest.fixture
def world(demo_route: Route) -> World:
    return World()
