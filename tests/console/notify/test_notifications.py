"""Notifications go out once, signed, again when they must, and tell no secret."""

import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit import record
from console.models import AuditEvent, Channel, Delivery
from console.notify import actions, outbox, render, send
from tests.console.notify.conftest import ADMIN, SECRET
from tests.fakes.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
NOW = datetime.now(UTC)


def happens(action: str = "release.rolled_back", subject: str = "release:31") -> None:
    after = {"route": "demo", "candidate": "vllm-a", "cause": "blame"}
    record(action=action, subject=subject, actor=ADMIN, reason="users suffered", before={}, after=after)


def test_a_change_that_a_channel_wants_goes_out_once_and_signed(channel: Channel, receiver: Receiver) -> None:
    happens()
    for _ in range(2):
        outbox.collect(NOW)
        send.due(NOW)
    assert len(receiver.got) == 1
    headers, raw = receiver.got[0]
    stamp, made = (part.partition("=")[2] for part in headers["x-console-signature"].split(","))
    assert hmac.new(SECRET.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest() == made
    body = json.loads(raw)
    assert body["title"] == "Release 31: rolled back"
    assert "users suffered" in body["text"]
    assert "/releases/31/" in body["text"]
    assert Delivery.objects.get().state == "sent"


def test_what_it_does_not_want_stays_and_history_is_not_sent(channel: Channel, receiver: Receiver) -> None:
    happens("engine.edit", "engine:x")
    outbox.collect(NOW)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("events", [["approval.requested"], ["slo.*"]])
def test_broken_glass_goes_to_every_channel(channel: Channel, events: list[str]) -> None:
    actions.save_channel(channel, name="ops", kind="webhook", url="", secret="", events=events, actor=ADMIN)
    outbox.collect(NOW)
    happens("approval.break_glass", "approval:3")
    outbox.collect(NOW)
    assert Delivery.objects.filter(action="approval.break_glass").count() == 1


@given(after=st.dictionaries(st.sampled_from(render.SHOWN), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9), lambda inner: st.lists(inner) | st.dictionaries(
        st.text(max_size=3), inner), max_leaves=5)))  # fmt: skip
def test_any_audit_row_can_be_told_of(after: dict[str, Any]) -> None:
    words = render.text(actor="olga", reason="", after=after, address="https://console/releases/3/")
    assert words.endswith("https://console/releases/3/")
    assert not any(str(value) in words for value in after.values() if isinstance(value, dict) and value)


def test_a_row_that_cannot_be_told_of_holds_up_none_behind_it(
    channel: Channel, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def title(action: str, subject: str) -> str:
        if subject == "release:1":
            raise ValueError(subject)
        return action

    monkeypatch.setattr(render, "title", title)
    happens(subject="release:1")
    happens(subject="release:2")
    outbox.collect(NOW)
    outbox.collect(NOW)
    assert Delivery.objects.get().facts["subject"] == "release:2"
    assert "passed over" in caplog.text


def test_a_failing_receiver_is_tried_again_ever_later_and_then_given_up(channel: Channel, receiver: Receiver) -> None:
    happens()
    outbox.collect(NOW)
    receiver.status = 503
    now, waits = NOW, []
    for _ in range(8):
        send.due(now)
        row = Delivery.objects.get()
        if row.state == "failed":
            break
        waits.append((row.next_at - now).total_seconds())
        now = row.next_at
    assert waits == sorted(waits)
    assert len(receiver.got) == 6
    assert row.last_error == "The receiver answered 503."
    receiver.status = 200
    actions.retry(row)
    send.due(datetime.now(UTC) + timedelta(seconds=1))
    assert Delivery.objects.get().state == "sent"


def test_two_senders_send_one_delivery_once(channel: Channel, receiver: Receiver) -> None:
    happens()
    outbox.collect(NOW)
    row = Delivery.objects.select_related("channel").get()
    assert [send.send_one(row, NOW), send.send_one(row, NOW)] == [True, False]
    assert len(receiver.got) == 1


def test_an_address_inside_the_house_is_refused_unless_it_is_allowed(
    channel: Channel, receiver: Receiver, settings: Any
) -> None:
    settings.NOTIFY_NETWORKS = ()
    happens()
    outbox.collect(NOW)
    send.due(NOW)
    assert receiver.got == []
    assert Delivery.objects.get().last_error.startswith("The receiver is not at an address that may be called.")


def test_neither_address_nor_secret_is_in_any_log_row_or_audit(
    channel: Channel, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    happens()
    with caplog.at_level(logging.DEBUG):
        outbox.collect(NOW)
        send.due(NOW)
        actions.save_channel(
            channel, name="ops", kind="apprise", url="json://127.0.0.1:1/TOP-SECRET", secret="", events=["release.*"],
            actor=ADMIN,
        )  # fmt: skip
        happens()
        outbox.collect(NOW)
        send.due(NOW)
    rows = json.dumps(list(Delivery.objects.values()), default=str) + json.dumps(
        list(AuditEvent.objects.values("after"))
    )
    for secret in ("TOP-SECRET", SECRET):
        assert secret not in caplog.text
        assert secret not in rows
        assert secret not in channel.sealed_url + channel.sealed_secret
    assert {row.state for row in Delivery.objects.all()} == {"queued"}
