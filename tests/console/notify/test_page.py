"""The Notifications page and its form: admins change channels, others read what went out."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.models import Channel, User

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
SECRET = "at-least-sixteen-of-them"


def test_an_admin_adds_a_channel_and_others_only_read_the_log(
    client_of: Callable[[User], Client], admin: User, operator: User
) -> None:
    fields = {"name": "ops", "kind": "webhook", "url": "https://hooks.example/x", "secret": SECRET, "events": ["slo.*"]}
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
        ({"url": "https://x:99999/y"}, "Write the address as https://"),
        ({"url": "https://x/ä"}, "Write the address as https://"),
        ({"secret": ""}, "needs a signing secret"),
        ({"secret": "short"}, "at least 16"),
        ({"kind": "apprise", "url": "nothing"}, "Apprise URL"),
        ({"events": []}, "required"),
    ],
)
def test_a_bad_channel_is_refused_beside_the_field(
    client_of: Callable[[User], Client], admin: User, changes: dict[str, Any], words: str
) -> None:
    fields = {"name": "ops", "kind": "webhook", "url": "https://x/y", "secret": SECRET, "events": ["slo.*"], **changes}
    answer = client_of(admin).post("/notifications/new/", fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Channel.objects.exists()


def test_what_the_boxes_do_not_offer_stays_when_a_channel_is_edited(
    client_of: Callable[[User], Client], admin: User
) -> None:
    fields = {"name": "ops", "kind": "webhook", "url": "https://hooks.example/x", "secret": SECRET, "events": ["slo.*"]}
    client_of(admin).post("/notifications/new/", fields)
    channel = Channel.objects.get()
    Channel.objects.update(events=["slo.*", "release.rolled_back"])
    page = client_of(admin).get(f"/notifications/{channel.pk}/").content.decode()
    assert 'value="release.rolled_back"' in page
    kept = {"name": "ops", "kind": "webhook", "url": "", "secret": "", "events": ["release.rolled_back", "gate.*"]}
    assert client_of(admin).post(f"/notifications/{channel.pk}/", kept).status_code == 302
    assert set(Channel.objects.get().events) == {"release.rolled_back", "gate.*"}
