"""First start: settings and engines from the environment, the demo or an admin, the first-run facts."""

import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from console import demo, env
from console.demo import FIRST_START
from console.models import Role, User
from engines import profiles
from engines.actions import EngineSpec
from engines.actors import BOOTSTRAP
from engines.models import Engine
from gates import actions as gate_actions
from gates import release_policies
from routing import actions as routing_actions
from routing import configuration
from routing.models import Route, SettingsRevision
from routing.table import Member, Settings
from routing.table import Role as RouteRole

ENDPOINTS = {Engine.Kind.CUSTOM: "CUSTOM", Engine.Kind.VLLM: "VLLM", Engine.Kind.TRTLLM: "TRTLLM"}


def first_run_file() -> Path:
    return Path(settings.DATA_DIR) / "first-run.json"


def settings_from_environment() -> Settings:
    """The run-time settings a first start begins with; afterwards the database owns them."""
    plain = Settings()
    return Settings(
        long_input_tokens=env.number("LONG_INPUT_TOKENS", plain.long_input_tokens, high=10_000_000),
        health_out_below=env.decimal("HEALTH_THRESHOLD", plain.health_out_below, high=1),
        ttft_limit=env.decimal("OBJECTIVE_TTFT_P95", plain.ttft_limit),
        e2e_limit=env.decimal("OBJECTIVE_E2E_P95", plain.e2e_limit),
        error_rate_limit=env.decimal("OBJECTIVE_ERROR_RATE", plain.error_rate_limit, high=1),
        qps_target=env.decimal("OBJECTIVE_QPS", plain.qps_target),
        enable_prefix_cache=env.flag("ENABLE_PREFIX_CACHE", default=plain.enable_prefix_cache),
        preferred_kind=env.choice("ENGINE", ("auto", *Engine.Kind.values), plain.preferred_kind),
        cors_origins=env.listing("CORS_ORIGINS"),
    )


@transaction.atomic
def seed_settings() -> None:
    if not SettingsRevision.objects.exists():
        configuration.change_settings(settings_from_environment(), expected=0, actor=BOOTSTRAP, reason=FIRST_START)


@transaction.atomic
def seed_endpoints() -> list[str]:
    """Register the engines named by CUSTOM_ENDPOINT, VLLM_ENDPOINT, TRTLLM_ENDPOINT; one route over them.

    Their keys are not taken from the environment: enter them on the engine's page.
    """
    names = []
    for kind, prefix in ENDPOINTS.items():
        url = env.text(f"{prefix}_ENDPOINT")
        if url and not Engine.objects.filter(name=kind.value).exists():
            spec = EngineSpec(name=kind.value, kind=kind.value, served_model=env.text(f"{prefix}_MODEL", "default"))
            demo.register(spec, url)
            names.append(spec.name)
    if names and not Route.objects.exists():
        first, *others = names
        members = [Member(first, RouteRole.SPLIT, 100), *(Member(name, RouteRole.STANDBY) for name in others)]
        routing_actions.create_route(env.text("ROUTE", "default"), members, actor=BOOTSTRAP, reason=FIRST_START)
    return names


def make_admin(name: str) -> str | None:
    """The password of the new admin, shown once; None when somebody can already log in as admin."""
    if User.objects.filter(role=Role.ADMIN, is_active=True).exists():
        return None
    return str(demo.make_user(name, Role.ADMIN)["password"])


def write_first_run(facts: dict[str, Any]) -> None:
    path = first_run_file()
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(facts, file, indent=2)
    draft.replace(path)


def read_first_run() -> dict[str, Any] | None:
    """The facts with this start's addresses, or None when there was no demo first start here."""
    path = first_run_file()
    if not path.exists():
        return None
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def addresses() -> dict[str, str]:
    return {"console_url": settings.CONSOLE_URL, "gateway_url": settings.GATEWAY_URL}


def start_demo() -> dict[str, Any]:
    """Idempotent: the first call makes the demo, later ones bring its addresses up to date."""
    seed_settings()
    profiles.ensure_built_in()
    gate_actions.ensure_built_in()
    release_policies.ensure_built_in()
    facts = read_first_run()
    if facts is None and not User.objects.exists():
        facts = demo.seed()
    elif facts is not None:
        demo.add_provided()
    demo.follow_ports()
    if facts is None:
        return addresses()
    facts = {**facts, **addresses()}
    write_first_run(facts)
    return facts


def banner(facts: dict[str, Any]) -> str:
    """What `make run` prints once everything is up."""
    lines = ["", f"Console   {facts['console_url']}", f"Gateway   {facts['gateway_url']}/v1"]
    for user in facts.get("users", ()):
        lines.append(f"  log in as {user['name']:<9} password {user['password']}")
    if "api_key" in facts:
        lines += ["", "Try it:", _curl(facts)]
    if "users" in facts:
        lines += ["", f"The same facts are in {first_run_file()}. Ctrl-C stops everything.", ""]
    else:
        lines += ["", "No account yet? manage.py bootstrap --admin NAME makes one. Ctrl-C stops everything.", ""]
    return "\n".join(lines)


def _curl(facts: dict[str, Any]) -> str:
    body = {"model": facts["model"], "messages": [{"role": "user", "content": "What is a canary?"}]}
    return (
        f"curl -s {facts['gateway_url']}/v1/chat/completions -H 'Authorization: Bearer {facts['api_key']}' \\\n"
        f"  -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    )
