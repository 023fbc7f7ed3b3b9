"""The check list as the worker runs it."""

import pytest
from django.conf import settings

from engines.actions import open_check
from engines.models import EngineCheck
from engines.sealing import seal
from engines.tasks import run_check
from tests.fakes.engine import serve

pytestmark = pytest.mark.django_db
SECRET = "sk-check-secret"


def states(check: EngineCheck) -> dict[str, str]:
    check.refresh_from_db()
    return {row["name"]: row["state"] for row in check.rows}


def test_a_good_engine_passes_every_needed_line() -> None:
    with serve() as fake:
        check = open_check(kind="vllm", url=fake.url, served_model="m", sealed_key="")
        run_check(check.pk)
    found = states(check)
    assert check.finished_at is not None
    assert [found[name] for name in ("DNS", "TCP", "Models", "Streamed completion")] == ["ok"] * 4


def test_a_refused_connection_fails_and_the_rest_is_not_tried() -> None:
    check = open_check(kind="vllm", url="http://127.0.0.1:9", served_model="m", sealed_key="")
    run_check(check.pk)
    found = states(check)
    assert (found["DNS"], found["TCP"], found["Models"]) == ("ok", "fail", "skip")


def test_the_key_is_used_and_then_forgotten() -> None:
    with serve() as fake:
        fake.api_key = SECRET
        check = open_check(kind="vllm", url=fake.url, served_model="m", sealed_key=seal(SECRET, settings.FERNET_KEY))
        run_check(check.pk)
    assert states(check)["Streamed completion"] == "ok"
    assert check.sealed_key == ""
    assert SECRET not in str(check.rows)


def test_a_key_that_cannot_be_opened_is_said() -> None:
    check = open_check(kind="vllm", url="http://127.0.0.1:9", served_model="m", sealed_key="not a seal")
    run_check(check.pk)
    assert states(check) == {"Key": "fail"}


def test_a_message_that_comes_twice_runs_once() -> None:
    check = open_check(kind="vllm", url="http://127.0.0.1:9", served_model="m", sealed_key="")
    run_check(check.pk)
    check.refresh_from_db()
    finished = check.finished_at
    run_check(check.pk)
    run_check(999)
    check.refresh_from_db()
    assert check.finished_at == finished
