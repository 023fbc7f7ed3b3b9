"""Only one process holds a lease, and a silent holder loses it."""

from datetime import UTC, datetime, timedelta

import pytest

from console import leases

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_to_come_holds_it_and_the_second_does_not() -> None:
    assert leases.hold("controller", "a", now=NOW, seconds=10) == 1
    assert leases.hold("controller", "b", now=later(5), seconds=10) is None


def test_renewing_keeps_the_fence() -> None:
    leases.hold("controller", "a", now=NOW, seconds=10)
    assert leases.hold("controller", "a", now=later(9), seconds=10) == 1
    assert leases.hold("controller", "b", now=later(15), seconds=10) is None


def test_a_silent_holder_loses_it_and_the_fence_grows() -> None:
    leases.hold("controller", "a", now=NOW, seconds=10)
    assert leases.hold("controller", "b", now=later(11), seconds=10) == 2
    assert leases.hold("controller", "a", now=later(12), seconds=10) is None


def test_releasing_lets_the_next_in_at_once() -> None:
    leases.hold("controller", "a", now=NOW, seconds=10)
    leases.release("controller", "a", now=later(1))
    assert leases.hold("controller", "b", now=later(1), seconds=10) == 2
