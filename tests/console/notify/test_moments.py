"""What is told of engines and objectives that no audit row stands for: not too often, and not twice."""

from datetime import UTC, datetime, timedelta

import pytest

from console.models import Channel, Delivery
from console.notify import actions
from console.notify.moments import FLIPS, Objectives, rotation
from engines.models import Engine, Replica
from tests.console import makers
from tests.console.notify.conftest import ADMIN

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
NOW = datetime.now(UTC)
MINUTE = datetime(2026, 11, 27, 12, 1, tzinfo=UTC)


@pytest.fixture
def listening(channel: Channel) -> Channel:
    events = ["engine.*", "slo.*"]
    return actions.save_channel(channel, name="ops", kind="webhook", url="", secret="", events=events, actor=ADMIN)


@pytest.fixture
def replica() -> Replica:
    engine: Engine = makers.engine()
    makers.route("demo", {"hf-demo": 100})
    found: Replica = engine.replicas.get()
    return found


def told() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("action", flat=True))


def minutes_with(failed: list[int], *, first: int = 0, watch: Objectives | None = None) -> None:
    """One minute of 40 requests after another; so many of them fail."""
    looking = watch or Objectives()
    for number, count in enumerate(failed, first):
        end = MINUTE + timedelta(minutes=number)
        makers.requests(40, end - timedelta(seconds=10), failed=count)
        looking.look(end + timedelta(seconds=15))


def test_an_engine_that_leaves_rotation_is_told_of(listening: Channel, replica: Replica) -> None:
    rotation([replica], NOW)
    assert Delivery.objects.get(action="engine.left").title == "Engine hf-demo: left"


def test_an_engine_that_flaps_is_told_of_as_one_that_flaps(listening: Channel, replica: Replica) -> None:
    for number in range(FLIPS + 10):
        replica.in_rotation = not replica.in_rotation
        rotation([replica], NOW + timedelta(seconds=number))
    assert len(told()) <= FLIPS + 2
    assert any("keeps leaving" in row.text for row in Delivery.objects.all())


def test_a_missed_window_is_told_at_once_and_the_way_back_after_three_good_ones(
    listening: Channel, replica: Replica
) -> None:
    minutes_with([0, 20, 20, 0, 0])
    assert told() == ["slo.missed"]
    minutes_with([0], first=5)
    assert told() == ["slo.missed", "slo.met"]


def test_a_route_that_flaps_around_its_limit_is_told_of_once(listening: Channel, replica: Replica) -> None:
    minutes_with([20, 0, 20, 0, 0, 20, 0])
    assert told() == ["slo.missed"]


def test_a_new_controller_goes_on_where_the_old_one_was(listening: Channel, replica: Replica) -> None:
    for number, failed in enumerate([20, 20, 0, 0, 0, 0]):
        minutes_with([failed], first=number, watch=Objectives())
    assert told() == ["slo.missed", "slo.met"]
