"""The controller probes what is due, follows engines in and out of rotation, and only one acts."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from console import leases
from console.controller import LEASE, Controller
from engines.http import new_session
from engines.models import Engine, Replica
from routing.outcomes import Result
from routing.publish import load_health
from routing.rollup import save_outcomes
from tests.fakes.engine import FakeEngine, serve
from tests.routing.test_rollup import outcome

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    with serve() as engine:
        yield engine


@pytest.fixture
def replica(make_engine: Callable[..., Engine], fake: FakeEngine) -> Replica:
    engine = make_engine("hf-demo", kind="vllm", served_model="m")
    engine.replicas.update(url=fake.url)
    return engine.replicas.get()


@pytest.fixture(autouse=True)
def no_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a thread and tests of their own; the test's database in memory knows no waiting for a lock."""
    monkeypatch.setattr("console.controller.notify", lambda *_: None)


async def look_once(controller: Controller, now: datetime) -> None:
    """One tick that starts the probes, one that stores them."""
    async with new_session(settings.ENGINE_NETWORKS) as session:
        await controller.tick(session, now)
        for task in list(controller._looking.values()):
            await task
        await controller.tick(session, now)


async def test_a_fresh_engine_enters_on_its_first_good_probe(replica: Replica) -> None:
    await look_once(Controller(), datetime.now(UTC))
    await replica.arefresh_from_db()
    assert replica.in_rotation, replica.health
    published: Any = await sync_to_async(load_health)(0)
    assert published["replicas"][str(replica.pk)]["in_rotation"] is True


async def test_the_look_ups_in_the_prefix_cache_are_kept_from_probe_to_probe(replica: Replica) -> None:
    controller, now = Controller(), datetime.now(UTC)
    for step in range(3):
        await look_once(controller, now + timedelta(seconds=40 * step))
    await replica.arefresh_from_db()
    readings = replica.health["lookups"]
    assert [reading[1:] for reading in readings] == [[25.0, 100.0]] * 3
    assert readings[0][0] < readings[2][0]


async def test_an_engine_that_refuses_leaves_at_once_and_returns_after_two_good_probes(
    replica: Replica, fake: FakeEngine
) -> None:
    controller, now = Controller(), datetime.now(UTC)
    await look_once(controller, now)
    seen = []
    for step, url in enumerate(["http://127.0.0.1:9", fake.url, fake.url], start=1):
        await Replica.objects.filter(pk=replica.pk).aupdate(url=url)
        await look_once(controller, now + timedelta(seconds=6 * step))
        await replica.arefresh_from_db()
        seen.append(replica.in_rotation)
    assert seen == [False, False, True]


async def test_a_suspect_replica_is_probed_before_its_time(replica: Replica, fake: FakeEngine) -> None:
    controller, now = Controller(), datetime.now(UTC)
    await look_once(controller, now)
    hits = len(fake.paths)
    await look_once(controller, now + timedelta(seconds=1))
    assert len(fake.paths) == hits
    await Replica.objects.filter(pk=replica.pk).aupdate(suspect_at=now + timedelta(seconds=2))
    await look_once(controller, now + timedelta(seconds=2))
    assert len(fake.paths) > hits


async def test_a_controller_without_the_lease_only_waits(replica: Replica, fake: FakeEngine) -> None:
    now = datetime.now(UTC)
    await sync_to_async(leases.hold)(LEASE, "another", now=now, seconds=60)
    await look_once(Controller(), now)
    assert fake.paths == []


async def test_failures_from_before_a_restart_do_not_count_against_the_new_process(
    replica: Replica, fake: FakeEngine
) -> None:
    controller, now = Controller(), datetime.now(UTC)
    await look_once(controller, now)
    failures = [
        outcome(f"failed-{number}", assigned_at=now.timestamp() + 11, result=Result.REFUSED) for number in range(40)
    ]
    await sync_to_async(save_outcomes)(failures)
    await look_once(controller, now + timedelta(seconds=22))
    await replica.arefresh_from_db()
    assert not replica.in_rotation
    fake.started_at += 60
    for step in (28, 34):
        await look_once(controller, now + timedelta(seconds=step))
    await replica.arefresh_from_db()
    assert replica.in_rotation, replica.health
