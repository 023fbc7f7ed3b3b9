"""First start: the demo is made once, a real deployment has no demo accounts."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from console import bootstrap, processes
from console.models import AuditEvent, User
from engines.models import Engine, Replica
from routing.models import ApiKey, Route
from routing.publish import compile_table, current_settings

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture(autouse=True)
def own_data_dir(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setenv("VLLM_DEMO", "off")


def test_the_demo_has_one_user_per_role_engines_a_route_and_a_key() -> None:
    facts = bootstrap.start_demo()
    assert sorted(user["role"] for user in facts["users"]) == ["admin", "approver", "operator", "viewer"]
    assert sorted(Engine.objects.values_list("name", "state")) == [
        ("hf-demo", "active"),
        ("hf-demo-b", "active"),
    ]
    assert [member["weight"] for member in Route.objects.get().current().members] == [100, 0]
    assert next(iter(compile_table(1).keys.values())).scopes == ("inference", "select-engine")


def test_the_facts_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    bootstrap.start_demo()
    path = tmp_path / "first-run.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(path.read_text())) == {"console_url", "gateway_url", "users", "api_key", "model"}


def test_a_second_start_keeps_the_accounts_and_follows_the_ports(settings: Any) -> None:
    first = bootstrap.start_demo()
    settings.ENGINE_PORT = 8700
    settings.GATEWAY_URL = "http://127.0.0.1:8701"
    second = bootstrap.start_demo()
    assert second["users"] == first["users"]
    assert second["gateway_url"] == "http://127.0.0.1:8701"
    assert sorted(Replica.objects.values_list("url", flat=True)) == [
        "http://127.0.0.1:8700",
        "http://127.0.0.1:8701",
    ]
    assert User.objects.count() == 4


def test_no_secret_reaches_the_audit() -> None:
    facts = bootstrap.start_demo()
    written = json.dumps(list(AuditEvent.objects.values("before", "after", "reason", "subject")))
    assert facts["api_key"] not in written
    assert ApiKey.objects.get().digest not in written


def test_a_real_deployment_gets_an_admin_and_no_demo(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("bootstrap", "--admin", "root")
    assert list(User.objects.values_list("username", "role")) == [("root", "admin")]
    assert not Engine.objects.exists()
    assert "Made the admin root" in capsys.readouterr().out


def test_engines_of_the_environment_are_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOM_ENDPOINT", "http://127.0.0.1:9100")
    monkeypatch.setenv("VLLM_ENDPOINT", "http://127.0.0.1:9200")
    assert bootstrap.seed_endpoints() == ["custom", "vllm"]
    assert bootstrap.seed_endpoints() == []
    roles = [(member["engine"], member["role"]) for member in Route.objects.get().current().members]
    assert roles == [("custom", "split"), ("vllm", "standby")]


def test_settings_come_from_the_environment_at_first_start_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTIVE_TTFT_P95", "3.5")
    bootstrap.seed_settings()
    monkeypatch.setenv("OBJECTIVE_TTFT_P95", "9")
    bootstrap.seed_settings()
    assert current_settings().ttft_limit == 3.5


@pytest.fixture
def vllm_provided(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BASE_DIR = tmp_path
    monkeypatch.delenv("VLLM_DEMO")
    (tmp_path / ".venv-vllm").mkdir()
    (tmp_path / ".venv-vllm" / ".installed").touch()


def test_vllm_provided_later_joins_the_demo_route_as_standby_once(vllm_provided: None, monkeypatch: Any) -> None:
    monkeypatch.setenv("VLLM_DEMO", "off")
    bootstrap.start_demo()
    assert not Engine.objects.filter(name="vllm-demo").exists()
    monkeypatch.delenv("VLLM_DEMO")
    bootstrap.start_demo()
    assert Engine.objects.get(name="vllm-demo").kind == "vllm"
    bootstrap.start_demo()
    members = {member["engine"]: member for member in Route.objects.get().current().members}
    assert members["vllm-demo"]["role"] == "standby"
    assert Route.objects.get().revision == 2
    assert [process.name for process in processes.demo_processes()] == ["hf-demo", "hf-demo-b", "vllm-demo"]


def test_a_first_start_with_vllm_has_it_in_the_route_from_the_beginning(vllm_provided: None) -> None:
    bootstrap.start_demo()
    assert Route.objects.get().revision == 1
    assert Replica.objects.get(engine__name="vllm-demo").url.endswith(":8102")
