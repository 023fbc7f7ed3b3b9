"""The audit page: newest first, filters, keyset pages, and whether the chain holds."""

from collections.abc import Callable

import pytest
from django.test import Client

from console.audit import record
from console.models import AuditEvent, User
from console.pages.audit import PAGE
from tests.console import makers

ClientOf = Callable[[User], Client]


def write(count: int, *, subject: str = "engine:hf-demo", action: str = "engine.edit", reason: str = "") -> None:
    for number in range(count):
        record(action=action, subject=subject, actor=makers.TESTER, reason=reason or f"reason {number}",
               before={"max_in_flight": 4}, after={"max_in_flight": 8})  # fmt: skip


def test_changes_are_told_newest_first(client_of: ClientOf, viewer: User) -> None:
    write(1, reason="the older one")
    write(1, reason="the newer one")
    page = client_of(viewer).get("/audit/").content.decode()
    assert page.index("the newer one") < page.index("the older one")
    assert "max in flight <b>4 → 8</b>" in page


def test_the_next_page_starts_where_this_one_ended(client_of: ClientOf, viewer: User) -> None:
    write(PAGE + 2)
    browser = client_of(viewer)
    first = browser.get("/audit/").content.decode()
    assert 'href="?before=3"' in first
    second = browser.get("/audit/?before=3").content.decode()
    assert 'id="e2"' in second
    assert 'id="e1"' in second
    assert 'id="e3"' not in second
    assert "Next 50" not in second


@pytest.mark.parametrize("asked", ["subject=vllm", "action=engine.disabled", "actor=nobody-else"])
def test_filters_narrow_the_list_and_can_be_removed(client_of: ClientOf, viewer: User, asked: str) -> None:
    write(1)
    page = client_of(viewer).get(f"/audit/?{asked}").content.decode()
    assert "Nothing matches" in page
    assert 'id="e1"' not in page
    assert "Remove " in page


def test_a_filter_keeps_what_it_matches(client_of: ClientOf, viewer: User) -> None:
    write(1, subject="route:demo", action="route.delete")
    write(1)
    page = client_of(viewer).get("/audit/?subject=route%3A").content.decode()
    assert 'id="e1"' in page
    assert 'id="e2"' not in page


def test_a_page_number_that_is_none_is_ignored(client_of: ClientOf, viewer: User) -> None:
    write(1)
    for wrong in ("x", "-1", "9" * 40, "²"):
        assert 'id="e1"' in client_of(viewer).get("/audit/", {"before": wrong}).content.decode()


def test_the_chain_is_said_to_hold_or_where_it_breaks(client_of: ClientOf, viewer: User) -> None:
    write(3)
    browser = client_of(viewer)
    assert "Chain holds" in browser.get("/audit/chain/").content.decode()
    AuditEvent.objects.filter(sequence=2).update(reason="rewritten by hand")
    assert "The chain breaks at entry 2." in browser.get("/audit/chain/").content.decode()


def test_new_entries_are_offered_and_not_pushed_into_the_list(client_of: ClientOf, viewer: User) -> None:
    write(3)
    assert "2 new</a>" in client_of(viewer).get("/audit/newer/1/").content.decode()
    assert "</a>" not in client_of(viewer).get("/audit/newer/3/").content.decode()


def test_what_people_typed_is_escaped(client_of: ClientOf, viewer: User) -> None:
    write(1, reason="<script>alert(1)</script>")
    page = client_of(viewer).get("/audit/?subject=%3Cb%3E").content.decode()
    assert "<b>&lt;" not in page
    assert "<script>alert" not in client_of(viewer).get("/audit/").content.decode()
