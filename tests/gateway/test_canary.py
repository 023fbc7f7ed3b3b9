"""A release's canary in a gateway: its lease, the outage fast path, what is decided, and how streams end."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from routing import lease
from routing.split import assign, draw
from routing.table import Member, Role, Table
from tests.fakes.engine import FakeEngine
from tests.gateway.harness import RunningGateway, chat, engines, entry, make_table, post, running, wait_until

CANARY = [Member("old", Role.SPLIT, 50), Member("new", Role.SPLIT, 50, canary=True)]


def owned(table: Table, *, epoch: int = 1, **changes: object) -> Table:
    return replace(table, routes={"demo": replace(table.routes["demo"], owner="release:1", epoch=epoch, **changes)})


@contextmanager
def release(old: FakeEngine, new: FakeEngine) -> Iterator[RunningGateway]:
    with engines(old, new) as (one, two):
        table = make_table([entry("old", 1, one.url), entry("new", 2, two.url)], CANARY)
        with running(owned(table)) as gateway:
            yield gateway


def session_of(gateway: RunningGateway, canary: bool) -> str:
    """A session that the split gives to that arm."""
    salt = gateway.doors.table.routes["demo"].salt
    return next(str(n) for n in range(1000) if (assign(CANARY, *draw(salt, str(n))) or CANARY[0]).canary is canary)


def ask(gateway: RunningGateway, session: str, **more: object) -> tuple[int, str]:
    status, headers, _ = post(gateway, chat(**more), x_session_id=session)
    return status, headers.get("x-chosen-engine", "")


def renew(gateway: RunningGateway, at: float) -> None:
    health = gateway.doors.health
    gateway.doors.health = replace(health, sequence=health.sequence + 1, leases={"demo": at})


def test_a_canary_that_nobody_watches_gets_nothing_with_the_database_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.5)
    with release(FakeEngine(), FakeEngine()) as gateway:
        session = session_of(gateway, canary=True)
        renew(gateway, time.time())
        assert ask(gateway, session) == (200, "new")
        gateway.doors.broken = True
        wait_until(lambda: ask(gateway, session) == (200, "old"), seconds=10)
        gateway.doors.broken = False
        renew(gateway, time.time())
        wait_until(lambda: ask(gateway, session) == (200, "new"), seconds=10)


def test_the_decision_says_that_the_lease_ran_out() -> None:
    with release(FakeEngine(), FakeEngine()) as gateway:
        renew(gateway, time.time() - 600)
        wait_until(lambda: gateway.app.hub.follower.withheld == {"demo": "lease"})
        assert ask(gateway, session_of(gateway, canary=True)) == (200, "old")
        candidates = gateway.outcome()["decision"]["candidates"]
        assert next(item for item in candidates if item["engine"] == "new")["reasons"] == ["lease_expired"]


def test_five_failures_in_a_row_take_the_canary_out_at_once_and_the_report_says_so() -> None:
    with release(FakeEngine(), FakeEngine(mode="500")) as gateway:
        renew(gateway, time.time())
        bad, good = session_of(gateway, canary=True), session_of(gateway, canary=False)
        for _ in range(5):
            ask(gateway, bad)
            assert ask(gateway, good) == (200, "old")
        assert ask(gateway, bad) == (200, "old")
        wait_until(lambda: any(report["trips"] for report in gateway.doors.reports))
        trip = gateway.doors.reports[-1]["trips"][0]
        assert (trip["route"], trip["owner"], trip["epoch"], trip["engine"]) == ("demo", "release:1", 1, "new")
        gateway.publish(owned(gateway.doors.table, epoch=2))
        wait_until(lambda: gateway.app.hub.follower.withheld == {})


def test_a_failing_baseline_does_not_put_the_canary_out() -> None:
    with release(FakeEngine(mode="500"), FakeEngine(mode="500")) as gateway:
        renew(gateway, time.time())
        bad, good = session_of(gateway, canary=True), session_of(gateway, canary=False)
        for _ in range(7):
            ask(gateway, bad)
            ask(gateway, good)
        assert gateway.app.hub.follower.withheld == {}


def test_a_request_over_its_limit_is_told_before_it_ends_and_once_more_when_it_does() -> None:
    slow = FakeEngine(tokens=60, interval=0.05)
    with engines(slow) as (one,):
        table = make_table([entry("old", 1, one.url)], [Member("old", Role.SPLIT, 100)], e2e_limit=0.5)
        with running(owned(table)) as gateway:
            renew(gateway, time.time())
            assert post(gateway, chat(stream=True))[0] == 200
            wait_until(lambda: len(gateway.doors.outcomes) == 2)
            first, last = gateway.doors.outcomes
            assert (first["result"], first["e2e_late"], last["result"]) == ("undecided", True, "ok")
            assert first["request_id"] == last["request_id"]


def test_the_report_says_up_to_when_all_is_decided() -> None:
    with release(FakeEngine(), FakeEngine()) as gateway:
        renew(gateway, time.time())
        wait_until(lambda: any("demo" in report["decided_until"] for report in gateway.doors.reports))
        begun = time.time()
        ask(gateway, "1")
        wait_until(lambda: gateway.doors.reports[-1]["decided_until"]["demo"] > begun)


def test_a_stream_of_a_rolled_back_canary_is_cut_when_its_time_is_over() -> None:
    with release(FakeEngine(), FakeEngine(tokens=400, interval=0.05)) as gateway:
        renew(gateway, time.time())
        cut: list[bool] = []
        session = session_of(gateway, canary=True)

        def stream() -> None:
            try:
                post(gateway, chat(stream=True), x_session_id=session)
            except http.client.IncompleteRead as broken:
                cut.append(b"[DONE]" not in broken.partial)

        thread = threading.Thread(target=stream)
        thread.start()
        wait_until(lambda: any(item.content_sent for item in tuple(gateway.app.hub.watch.active)))
        drain = {"engine": "new", "epoch": 1, "cut_after": time.time() + 0.5}
        gateway.publish(owned(gateway.doors.table, epoch=2, drain=drain))
        thread.join(15)
        assert cut == [True]
        told = gateway.doors.reports
        wait_until(lambda: any(report["drains"].get("demo", {}).get("cut") == 1 for report in told))
        wait_until(lambda: told[-1]["drains"]["demo"]["open"] == 0)
