"""A channel to a fake receiver on loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from console.models import Channel
from console.notify import actions, outbox
from engines.actors import Actor
from engines.network import parse_networks
from tests.fakes.receiver import Receiver, receiving

ADMIN = Actor("user", "9", "admin-1")
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
    outbox.collect(datetime.now(UTC))
    return made
