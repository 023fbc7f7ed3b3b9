"""vLLM beside our engine on the running product: in the playground, for long prompts, and as a release candidate."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.clients import Clients
from tests.e2e.conftest import browser
from tests.e2e.releasing import Releasing
from tests.e2e.stack import ROOT, Stack, wait_for

__all__ = ["browser"]
HEALTHY_SECONDS = 180
SLOW = 60_000
PROVIDED = (ROOT / ".venv-vllm" / ".installed").exists()

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not PROVIDED, reason="LEFT OUT: vLLM is not provided here; run 'make vllm' first"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`make run` on a machine that has vLLM."""
    running = Stack(tmp_path_factory.mktemp("vllm"), VLLM_DEMO="auto")
    began = time.monotonic()
    running.start()
    wait_for(lambda: can_answer(running, "vllm-demo"), seconds=HEALTHY_SECONDS, what="vllm-demo is healthy")
    print(f"vllm-demo was healthy {time.monotonic() - began:.0f} s after the start of make run")
    yield running
    running.stop()


def can_answer(stack: Stack, engine: str) -> bool:
    return bool(stack.healthz()["engines"].get(engine, {}).get("can_take_traffic"))


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(base_url=stack.facts["console_url"], viewport={"width": 1280, "height": 900})
    made, user = context.new_page(), stack.user("operator")
    made.goto("/")
    made.locator("[name=login]").fill(user["name"])
    made.locator("[name=password]").fill(user["password"])
    made.locator("[name=password]").press("Enter")
    expect(made.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    yield made
    context.close()


def ask_long(stack: Stack) -> tuple[str, str, str]:
    """Engine, rule and reason of one prompt of about 9,000 tokens."""
    words = " ".join(f"gate {number}" for number in range(3400))
    body = {"model": "demo", "messages": [{"role": "user", "content": words}], "max_tokens": 4}
    headers = {"Authorization": f"Bearer {stack.facts['api_key']}", "Content-Type": "application/json"}
    url = f"{stack.facts['gateway_url']}/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=120) as answer:
        answer.read()
        decision = answer.headers["x-decision-id"]
        engine, rule = answer.headers["x-chosen-engine"], answer.headers["x-decision-rule"]
    code = (
        "from routing.models import OutcomeRecord;"
        f"row = OutcomeRecord.objects.filter(request_id='req_{decision.removeprefix('dec_')}').first();"
        "print(row.body['decision']['why'] if row else '')"
    )
    why = wait_for(
        lambda: Releasing(stack).manage("shell", "-c", code).strip().splitlines()[-1], seconds=20, what="why"
    )
    return engine, rule, why


def side_by_side(page: Page, tmp_path: Path) -> None:
    page.goto("/playground/")
    page.locator("#pane-1 select").select_option("hf-demo")
    page.locator("#pane-2 select").select_option("vllm-demo")
    page.locator("#prompt").fill("What is a canary?")
    page.locator("#prompt").press("Enter")
    for number in (1, 2):
        pane = page.locator(f"#pane-{number}")
        expect(pane.locator(".transcript")).to_contain_text("canary", timeout=SLOW, ignore_case=True)
        expect(pane.locator("[data-figure=ttft_ms]")).to_have_text(re.compile(r"\d"), timeout=SLOW)
        expect(pane.locator("[data-figure=output]")).to_have_text(re.compile(r"\d"), timeout=SLOW)
    expect(page.locator("#pane-2 .why")).to_contain_text("vllm-demo", timeout=SLOW)
    page.screenshot(path=os.environ.get("VLLM_SHOT", str(tmp_path / "side-by-side.png")))


def contract(stack: Stack) -> None:
    """Both live engines, by the command; it exits with 1 when one of them fails a check."""
    found = json.loads(Releasing(stack).manage("contract", "hf-demo", "vllm-demo", "--json"))
    for name, rows in found.items():
        for row in rows:
            print(f"{name:10} {row['capability']:18} {row['outcome']:14} {row['detail']}")
    shown = {name: {row["capability"] for row in rows if row["outcome"] == "pass"} for name, rows in found.items()}
    assert shown["vllm-demo"] >= {"cancel", "logprobs", "JSON schema", "context overflow"}
    assert shown["hf-demo"] >= {"cancel", "stream", "usage", "context overflow"}


def release(stack: Stack) -> None:
    acting = Releasing(stack)
    acting.prepare()
    number = acting.gated("vllm-demo", "short")
    with Clients(stack, 6) as clients:
        acting.approve(number)
        assert acting.reaches(number, "awaiting_approval", "rolled_back", "paused", seconds=120) == "awaiting_approval"
        acting.approve(number)
        assert acting.reaches(number, "final", "rolled_back", "paused", seconds=120) == "final"
    assert set(clients.ends) == {"ok"}, clients.ends
    assert clients.engines["vllm-demo"] > 20
    assert acting.weights()["vllm-demo"] == 100


def long_prompts(stack: Stack) -> None:
    engine, rule, why = ask_long(stack)
    assert (engine, rule) == ("vllm-demo", "long_input"), why
    assert "input tokens are more than 8192" in why
    stack.kill("vllm-demo")
    wait_for(lambda: not can_answer(stack, "vllm-demo"), seconds=30, what="vllm-demo is out")
    engine, rule, why = ask_long(stack)
    assert engine == "hf-demo", (engine, rule, why)
    assert "vllm-demo" in why
    wait_for(lambda: can_answer(stack, "vllm-demo"), seconds=HEALTHY_SECONDS, what="vllm-demo is back")


def test_vllm_answers_beside_ours_takes_long_prompts_and_becomes_the_release(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    """In this order: the release leaves the route with other roles."""
    side_by_side(page, tmp_path)
    contract(stack)
    long_prompts(stack)
    release(stack)
