"""Slow receivers delay nobody else; apprise is held to the same addresses; the command says what happened."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from console.models import Channel, Delivery
from console.notify import actions, send
from console.retention import prune
from tests.console.notify.conftest import ADMIN
from tests.fakes.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def test_a_channel_that_is_still_sent_to_is_not_sent_to_twice_and_holds_up_no_other(db: None) -> None:
    hangs, began, done = threading.Event(), threading.Semaphore(0), threading.Event()
    run = send.OnePerChannel()

    def slow() -> None:
        began.release()
        hangs.wait(10)

    run(1, slow)
    run(1, slow)
    run(2, done.set)
    assert done.wait(5)
    assert began.acquire(timeout=5)
    assert not began.acquire(timeout=0.1)
    hangs.set()


def test_after_one_that_fails_the_others_of_its_channel_wait(channel: Channel, receiver: Receiver) -> None:
    receiver.status = 503
    now = datetime.now(UTC)
    for _ in range(3):
        actions.test_message(channel)
    send.due(now + timedelta(seconds=1))
    assert len(receiver.got) == 1
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 1]


@pytest.mark.parametrize(
    "url", ["json://{host}/x", "ntfy://{host}/topic", "mailto://me:secret@a.example?smtp=127.0.0.1&to=a@b.example"]
)
def test_a_service_inside_the_house_is_refused_unless_it_is_allowed(
    receiver: Receiver, url: str, settings: Any
) -> None:
    settings.NOTIFY_NETWORKS = ()
    host = f"127.0.0.1:{receiver.server.server_address[1]}"
    inside = actions.save_channel(
        None, name="chat", kind="apprise", url=url.format(host=host), secret="", events=["slo.*"], actor=ADMIN
    )
    actions.test_message(inside)
    send.due(datetime.now(UTC) + timedelta(seconds=1))
    assert receiver.got == []
    assert "NOTIFY_NETWORKS" in Delivery.objects.get().last_error


def test_a_service_in_an_allowed_network_gets_the_message(receiver: Receiver) -> None:
    url = f"json://127.0.0.1:{receiver.server.server_address[1]}/x"
    inside = actions.save_channel(None, name="chat", kind="apprise", url=url, secret="", events=["slo.*"], actor=ADMIN)
    actions.test_message(inside)
    send.due(datetime.now(UTC) + timedelta(seconds=1))
    assert len(receiver.got) == 1
    assert Delivery.objects.get().state == "sent"


def test_the_command_sends_a_test_and_says_how_it_went(
    channel: Channel, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("notify", "test", "ops")
    call_command("notify", "list")
    assert "Sent." in (out := capsys.readouterr().out)
    assert "release.*" in out
    receiver.status = 500
    with pytest.raises(CommandError, match="answered 500"):
        call_command("notify", "test", "ops")
    with pytest.raises(CommandError, match="No channel"):
        call_command("notify", "test", "nobody")


def test_the_command_queues_what_was_given_up_once_more(channel: Channel, capsys: pytest.CaptureFixture[str]) -> None:
    row = actions.test_message(channel)
    with pytest.raises(CommandError, match="not one that was given up"):
        call_command("notify", "retry", str(row.pk))
    Delivery.objects.update(state="failed")
    call_command("notify", "log", "--failed")
    assert "A test of the console" in capsys.readouterr().out
    call_command("notify", "retry", str(row.pk))
    assert Delivery.objects.get().state == "queued"


def test_old_deliveries_are_forgotten_queued_ones_are_not(channel: Channel) -> None:
    old = datetime.now(UTC) - timedelta(days=31)
    for state in ("queued", "sent", "failed"):
        row = actions.test_message(channel)
        Delivery.objects.filter(pk=row.pk).update(state=state, created_at=old, key=state)
    prune(datetime.now(UTC))
    assert Delivery.objects.get().state == "queued"
