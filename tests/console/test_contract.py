"""The contract from the command line and on the engine's page: asked for, queued, stored, shown with its reasons."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError

from console.celery import app
from console.models import User
from engines import contracts
from engines.contract import CAPABILITIES, Finding, Outcome
from engines.models import ContractRun, Engine
from engines.tasks import run_contract
from tests.console import makers
from tests.fakes.engine import FakeEngine, serve

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeEngine]:
    with serve(models=("demo",)) as running:
        yield running


@pytest.fixture
def engine(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Its answers are short, so a count that must first show need not be waited for."""
    monkeypatch.setattr("engines.contract.answers.SHOWN_SECONDS", 0.2)
    made = makers.engine("fake-1", kind="vllm")
    made.replicas.update(url=fake.url)
    return made


def test_the_command_prints_engines_beside_each_other_and_fails_where_one_fails(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="keeps the contract"):
        call_command("contract")
    out = capsys.readouterr().out
    assert all(name in out for name in ("fake-1", *CAPABILITIES))
    assert "fake-1, logprobs: The answer holds no logprobs" in out
    assert ContractRun.objects.get().actor_name.endswith("(command line)")


def test_the_command_gives_reasons_as_json(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError):
        call_command("contract", "fake-1", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [row["capability"] for row in found["fake-1"]] == list(CAPABILITIES)
    assert all(row["detail"] for row in found["fake-1"])


def test_the_command_refuses_an_engine_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(CommandError, match="No engine is named nobody"):
        call_command("contract", "nobody")


def test_the_worker_makes_the_run_that_was_asked_for_once(engine: Engine, fake: FakeEngine) -> None:
    contracts.ask(engine, by="olga")
    run_contract("fake-1")
    before = fake.hits
    run_contract("fake-1")
    run = ContractRun.objects.get()
    assert (run.url, len(run.rows), run.actor_name) == (fake.url, len(CAPABILITIES), "olga")
    assert fake.hits == before


def test_a_run_that_could_not_be_made_keeps_the_last_findings(engine: Engine) -> None:
    run = contracts.ask(engine, by="olga")
    contracts.close(run, [Finding("generate", Outcome.PASS, "fine")], url="http://x")
    engine.replicas.all().delete()
    contracts.ask(engine, by="olga")
    run_contract("fake-1")
    run = ContractRun.objects.get()
    assert (run.error, len(run.rows), run.url) == ("fake-1 has no replica.", 1, "http://x")


def test_the_page_shows_what_was_found_and_operators_may_ask_again(
    engine: Engine, client_of: Callable[[User], Client], operator: User, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(app, "send_task", lambda name, args: sent.append((name, args)))
    page = client_of(viewer).get("/engines/fake-1/").content.decode()
    assert "Not tested yet" in page
    assert "Test the engine" not in page
    assert client_of(viewer).post("/engines/fake-1/contract/").status_code == 403
    assert client_of(operator).post("/engines/fake-1/contract/").status_code == 302
    assert sent == [("engines.run_contract", ["fake-1"])]
    assert "Being tested since" in client_of(viewer).get("/engines/fake-1/").content.decode()
    rows = [Finding("generate", Outcome.PASS, "8 words."), Finding("usage", Outcome.FAIL, "No counts.")]
    contracts.close(ContractRun.objects.get(), rows, url="http://x")
    page = client_of(viewer).get("/engines/fake-1/").content.decode()
    assert "1 of 2 passed, 1 failed" in page
    assert "No counts." in page


def test_a_queue_that_is_gone_and_a_worker_that_is_gone_are_said(
    engine: Engine, client_of: Callable[[User], Client], operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_args: object) -> None:
        raise OperationalError

    monkeypatch.setattr(app, "send_task", gone)
    client_of(operator).post("/engines/fake-1/contract/")
    assert "task queue does not answer" in client_of(operator).get("/engines/fake-1/").content.decode()
    contracts.ask(engine, by="olga")
    ContractRun.objects.update(asked_at=timezone.now() - timedelta(seconds=600))
    assert "Is the worker up?" in client_of(operator).get("/engines/fake-1/").content.decode()


def test_tensorrt_llm_is_said_to_be_unverified_on_hardware(client_of: Callable[[User], Client], viewer: User) -> None:
    makers.engine("trt-1", kind="trtllm")
    assert "not verified on hardware" in client_of(viewer).get("/engines/trt-1/").content.decode()
