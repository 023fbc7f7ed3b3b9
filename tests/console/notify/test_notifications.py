"""Notifications go out once, signed, again when they must, and tell no secret."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from console.audit import record
from console.models import AuditEvent, Channel, Delivery, User
from console.notify import actions, outbox, send
from console.notify.moments import Objectives, rotation
from engines.actors import Actor
from engines.models import Engine, Replica
from engines.network import parse_networks
from tests.console import makers
from tests.fakes.receiver import Receiver, receiving

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
ADMIN = Actor("user", "9", "admin-1")
NOW = datetime.now(UTC)
SECRET = "hush-hush-signing-key"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.NOTIFY_NETWORKS = parse_networks("127.0.0.0/8")
    with receiving() as made:
        yield made


@pytest.fixture
def channel(receiver: Receiver) -> Channel:
    made = actions.save_channel(
        None, name="ops", kind="webhook", url=receiver.url, secret=SECRET, events=["release.*", "approval.*"],
        actor=ADMIN,
    )  # fmt: skip
    outbox.collect(NOW)
    return made


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


def test_broken_glass_goes_to_everybody_who_hears_of_any_approval(receiver: Receiver, channel: Channel) -> None:
    actions.save_channel(
        channel, name="ops", kind="webhook", url="", secret="", events=["approval.requested"], actor=ADMIN
    )
    outbox.collect(NOW)
    happens("approval.break_glass", "approval:3")
    outbox.collect(NOW)
    assert Delivery.objects.filter(action="approval.break_glass").exists()


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
    assert [send._one(row, NOW), send._one(row, NOW)] == [True, False]
    assert len(receiver.got) == 1


def test_an_address_inside_the_house_is_refused_unless_it_is_allowed(
    channel: Channel, receiver: Receiver, settings: Any
) -> None:
    settings.NOTIFY_NETWORKS = ()
    happens()
    outbox.collect(NOW)
    send.due(NOW)
    assert receiver.got == []
    assert (
        "may not be called" in Delivery.objects.get().last_error or "may be called" in Delivery.objects.get().last_error
    )


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


def test_an_engine_that_leaves_rotation_is_told_of(channel: Channel) -> None:
    actions.save_channel(channel, name="ops", kind="webhook", url="", secret="", events=["engine.*"], actor=ADMIN)
    engine: Engine = makers.engine()
    replica: Replica = engine.replicas.get()
    rotation([replica], NOW)
    assert Delivery.objects.get(action="engine.left").title == "Engine hf-demo: left"


def test_a_missed_window_is_told_once_and_so_is_the_way_back(channel: Channel) -> None:
    actions.save_channel(channel, name="ops", kind="webhook", url="", secret="", events=["slo.*"], actor=ADMIN)
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    watch, minute = Objectives(), datetime(2026, 11, 27, 12, 1, tzinfo=UTC)
    for number, failed in enumerate((0, 20, 20, 0)):
        end = minute + timedelta(minutes=number)
        makers.requests(40, end - timedelta(seconds=10), failed=failed)
        watch.look(end + timedelta(seconds=15))
    assert list(Delivery.objects.order_by("pk").values_list("action", flat=True)) == ["slo.missed", "slo.met"]


def test_an_admin_adds_a_channel_and_others_only_read_the_log(
    client_of: Callable[[User], Client], admin: User, operator: User
) -> None:
    fields = {"name": "ops", "kind": "webhook", "url": "https://hooks.example/x", "secret": "s", "events": ["slo.*"]}
    assert client_of(operator).get("/notifications/new/").status_code == 403
    assert client_of(admin).post("/notifications/new/", fields).status_code == 302
    page = client_of(operator).get("/notifications/").content.decode()
    assert "ops" in page
    assert "hooks.example" not in page
    assert "Send a test" not in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "ftp://x/y"}, "Write the address as https://"),
        ({"url": "https://me:pass@x/y"}, "without user name"),
        ({"url": ""}, "Give the address"),
        ({"kind": "apprise", "url": "nothing"}, "Apprise URL"),
        ({"events": []}, "required"),
    ],
)
def test_a_bad_channel_is_refused_beside_the_field(
    client_of: Callable[[User], Client], admin: User, changes: dict[str, Any], words: str
) -> None:
    fields = {"name": "ops", "kind": "webhook", "url": "https://x/y", "secret": "", "events": ["slo.*"], **changes}
    answer = client_of(admin).post("/notifications/new/", fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Channel.objects.exists()
