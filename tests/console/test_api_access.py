"""Who may use the control API, and what it says to those who may not."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from console.models import User
from gates.models import GateRun
from routing.keys import create_key, revoke_key
from tests.console import gate_runs, makers
from tests.console.makers import TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
ENGINES = "/api/v1/engines"


def get(path: str = ENGINES, secret: str | None = None, *, scheme: str = "Bearer") -> Any:
    return Client(headers={"authorization": f"{scheme} {secret}"} if secret else {}).get(path)


def make(*scopes: str, **how: Any) -> tuple[Any, str]:
    return create_key("pipeline", scopes=scopes, actor=TESTER, reason="for a test", **how)


def test_a_key_with_the_scope_control_is_let_in() -> None:
    assert get(secret=make("control")[1]).json() == []


def test_a_key_from_the_command_line_works(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("key", "create", "pipeline", "--scope", "control")
    assert get(secret=capsys.readouterr().out.strip()).status_code == 200


@pytest.mark.parametrize("scopes", [(), ("inference",), ("inference", "select-engine"), ("controls",)])
def test_another_scope_is_not_enough(scopes: tuple[str, ...]) -> None:
    answer = get(secret=make(*scopes)[1])
    assert answer.status_code == 403
    assert answer.json() == {"error": {"code": "scope_missing", "message": "This API key lacks the scope 'control'."}}


def test_without_a_key_it_says_how_to_send_one() -> None:
    answer = get()
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer KEY" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("secret", "scheme"), [("ek-unknown", "Bearer"), ("x", "Basic"), ("é\x7f", "Bearer")])
def test_an_unknown_key_is_refused(secret: str, scheme: str) -> None:
    make("control")
    assert get(secret=secret, scheme=scheme).status_code == 401


def test_a_revoked_key_stops_at_once() -> None:
    key, secret = make("control")
    assert get(secret=secret).status_code == 200
    revoke_key(key, actor=TESTER, reason="leaked")
    assert (get(secret=secret).status_code, get(secret=secret).json()["error"]["code"]) == (401, "invalid_api_key")


def test_an_expired_key_is_told_so() -> None:
    _key, secret = make("control", expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in get(secret=secret).json()["error"]["message"]


def test_a_session_opens_nothing_here(operator: User, client_of: Any) -> None:
    makers.engine()
    gate_runs.policy()
    body = {"policy": "small", "engine": "hf-demo"}
    answer = client_of(operator).post("/api/v1/gates/runs", body, content_type="application/json")
    assert answer.status_code == 401
    assert not GateRun.objects.exists()


def test_engines_routes_and_policies_are_listed() -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    gate_runs.policy()
    _key, secret = make("control")
    engine, route, policy = (
        get(f"/api/v1/{path}", secret).json()[0] for path in ("engines", "routes", "gates/policies")
    )
    assert engine == {
        "name": "hf-demo", "kind": "custom", "served_model": "demo", "state": "active", "replicas": 1,
        "in_rotation": 0, "score": None,
    }  # fmt: skip
    assert route["members"] == [{"engine": "hf-demo", "role": "split", "weight": 100, "canary": False}]
    assert (policy["name"], policy["version"], policy["body"]["spike"]["rate"]) == ("small", 1, 5)


def test_the_openapi_document_names_every_address_and_needs_no_key() -> None:
    document = get("/api/v1/openapi.json").json()
    assert {path.removeprefix("/api/v1") for path in document["paths"]} == {
        "/engines", "/routes", "/gates/policies", "/gates/runs", "/gates/runs/{run}", "/gates/runs/{run}/cancel",
        "/gates/runs/{run}/resume", "/gates/runs/{run}/report.json", "/gates/runs/{run}/samples.jsonl",
        "/releases", "/releases/{release}", "/releases/{release}/pause", "/releases/{release}/resume",
        "/releases/{release}/rollback", "/releases/{release}/abort", "/releases/{release}/approve",
    }  # fmt: skip
    assert document["components"]["securitySchemes"]["ControlKey"] == {"type": "http", "scheme": "bearer"}


def test_there_is_no_page_that_loads_scripts_from_elsewhere() -> None:
    assert get("/api/v1/docs").status_code == 404
