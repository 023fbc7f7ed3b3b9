"""Registering and editing an engine, and its live check list."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from console.celery import app
from console.models import User
from engines.models import Engine, EngineCheck
from engines.sealing import unseal
from tests.routing.rows import WHY

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
SECRET = "sk-very-secret-key"


def form(**values: object) -> dict[str, object]:
    return {
        "name": "vllm-b",
        "kind": "vllm",
        "served_model": "openai/gpt-oss-20b",
        "urls": "http://127.0.0.1:8999",
        "max_in_flight": 64,
        "big_model": "auto",
        "reason": WHY,
        **values,
    }


def register(client: Client, **values: object) -> Engine:
    answer = client.post(reverse("console:engine-register"), form(**values))
    assert answer.status_code == 302, answer.context["form"].errors
    return Engine.objects.get(name="vllm-b")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    messages: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, args: messages.append((name, args)))
    return messages


def test_a_registered_engine_is_disabled_and_has_no_traffic(client_of: ClientOf, operator: User) -> None:
    engine = register(client_of(operator))
    assert engine.state == Engine.State.DISABLED
    assert [replica.url for replica in engine.replicas.all()] == ["http://127.0.0.1:8999"]


def test_every_line_is_a_replica(client_of: ClientOf, operator: User) -> None:
    engine = register(client_of(operator), urls="http://127.0.0.1:1\n\n http://127.0.0.1:2/ \nhttp://127.0.0.1:1")
    assert sorted(engine.replicas.values_list("url", flat=True)) == ["http://127.0.0.1:1", "http://127.0.0.1:2"]


@pytest.mark.parametrize(
    ("model", "choice", "big"),
    [
        ("openai/gpt-oss-120b", "auto", True),
        ("gpt-oss-20b", "auto", False),
        ("gpt-oss-120b", "no", False),
        ("m", "yes", True),
    ],
)
def test_a_big_model_is_known_by_its_name(
    client_of: ClientOf, operator: User, model: str, choice: str, *, big: bool
) -> None:
    assert register(client_of(operator), served_model=model, big_model=choice).big_model is big


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "Vllm B", "a-z"),
        ("key", "a\r\nX-Evil: 1", "line breaks"),
        ("key", "schlüssel", "ASCII"),
        ("served_model", "m\nX: y", "control characters"),
        ("name", "register", "address of this console"),
        ("urls", "http://10.0.0.7/v1", "Leave out /v1"),
        ("urls", "http://169.254.169.254/", "outside the networks"),
        ("urls", "http://8.8.8.8:80", "outside the networks"),
        ("urls", "ftp://127.0.0.1", "http://host:port"),
        ("urls", "", "At least one address"),
        ("urls", "http://user:pw@127.0.0.1:1", "key has its own field"),
        ("max_in_flight", "0", "greater than or equal to 1"),
        ("context_length", "-5", "greater than or equal to 1"),
        ("kind", "sglang", "valid choice"),
        ("reason", "no", "at least 10 characters"),
    ],
)
def test_bad_input_is_answered_beside_the_field(
    client_of: ClientOf, operator: User, field: str, value: str, words: str
) -> None:
    answer = client_of(operator).post(reverse("console:engine-register"), form(**{field: value}))
    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not Engine.objects.exists()


def test_a_taken_name_is_refused(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    register(client)
    assert client.post(reverse("console:engine-register"), form()).status_code == 422
    assert Engine.objects.count() == 1


def test_a_key_is_sealed_and_never_rendered_back(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    engine = register(client, key=SECRET)
    sealed = engine.replicas.get().sealed_key
    assert unseal(sealed, settings.FERNET_KEY) == SECRET
    pages = [
        client.get(reverse(f"console:{name}", args=["vllm-b"])).content.decode() for name in ("engine", "engine-edit")
    ]
    refused = client.post(reverse("console:engine-register"), form(key=SECRET)).content.decode()
    for page in (*pages, refused):
        assert SECRET not in page
        assert sealed not in page
    assert "A key is set" in pages[1]


def test_an_empty_key_field_keeps_the_key(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    engine = register(client, key=SECRET)
    address = reverse("console:engine-edit", args=["vllm-b"])
    assert client.post(address, form(version=engine.version, max_in_flight=8)).status_code == 302
    engine.refresh_from_db()
    assert engine.max_in_flight == 8
    assert unseal(engine.replicas.get().sealed_key, settings.FERNET_KEY) == SECRET
    client.post(address, form(version=engine.version, forget_key="on"))
    assert engine.replicas.get().sealed_key == ""


def test_a_stored_key_is_never_sent_to_a_new_address(client_of: ClientOf, operator: User, sent: list[object]) -> None:
    client = client_of(operator)
    engine = register(client, key=SECRET)
    moved = form(version=engine.version, urls="http://127.0.0.1:6666", engine="vllm-b")
    answer = client.post(reverse("console:engine-edit", args=["vllm-b"]), moved)
    assert "Enter the key again" in answer.content.decode()
    assert client.post(reverse("console:engine-check"), moved).status_code == 422
    assert not sent


def test_the_second_of_two_edits_is_refused_and_keeps_what_was_typed(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    engine = register(client)
    address = reverse("console:engine-edit", args=["vllm-b"])
    client.post(address, form(version=engine.version, max_in_flight=8))
    answer = client.post(address, form(version=engine.version, max_in_flight=9))
    assert answer.status_code == 409
    assert 'value="9"' in answer.content.decode()
    engine.refresh_from_db()
    assert engine.max_in_flight == 8


def test_a_test_of_the_connection_sends_only_the_id(client_of: ClientOf, operator: User, sent: list[object]) -> None:
    answer = client_of(operator).post(reverse("console:engine-check"), form(key=SECRET))
    check = EngineCheck.objects.get()
    assert sent == [("engines.run_check", [check.pk])]
    assert SECRET not in check.sealed_key
    assert "every" not in answer.headers
    assert f'hx-get="{reverse("console:engine-check-rows", args=[check.pk])}"' in answer.content.decode()


def test_a_finished_check_is_polled_no_more(client_of: ClientOf, operator: User, sent: list[object]) -> None:
    check = EngineCheck.objects.create(
        kind="vllm",
        url="http://127.0.0.1:1",
        finished_at=timezone.now(),
        rows=[{"name": "DNS", "state": "ok", "detail": "yes"}],
    )
    page = client_of(operator).get(reverse("console:engine-check-rows", args=[check.pk])).content.decode()
    assert "hx-get" not in page
    assert "DNS" in page


def test_a_check_that_no_worker_takes_says_so(client_of: ClientOf, operator: User) -> None:
    check = EngineCheck.objects.create(kind="vllm", url="http://127.0.0.1:1")
    EngineCheck.objects.update(started_at=timezone.now() - timedelta(seconds=11))
    page = client_of(operator).get(reverse("console:engine-check-rows", args=[check.pk])).content.decode()
    assert "No worker has picked this test up in 10 s" in page


def test_a_queue_that_is_down_is_said_at_once(
    client_of: ClientOf, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(app, "send_task", refuse)
    answer = client_of(operator).post(reverse("console:engine-check"), form(key=SECRET))
    assert "The task queue does not answer" in answer.content.decode()
    assert EngineCheck.objects.get().sealed_key == ""


def test_a_viewer_tests_nothing(client_of: ClientOf, viewer: User, sent: list[object]) -> None:
    assert client_of(viewer).post(reverse("console:engine-check"), form()).status_code == 403
    assert not sent
