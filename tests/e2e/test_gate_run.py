"""A gate run started in the browser: the page moves by itself, and the figures are what the samples give."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.recompute import differences, load
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]

BRIEF = {
    "name": "brief", "step_levels": "1, 2", "step_seconds": "3", "step_completions": "3", "step_cap": "10",
    "spike_seconds": "6", "soak_seconds": "24", "window_seconds": "8", "window_minimum": "10", "warm_up_seconds": "20",
}  # fmt: skip
STARTS = 30_000
VERDICT = re.compile("Passed|Failed|Invalid|Inconclusive", re.IGNORECASE)


@pytest.fixture
def context(stack: Stack, browser: Browser) -> Iterator[BrowserContext]:
    """Logged in as the operator."""
    made = browser.new_context(base_url=stack.facts["console_url"], viewport={"width": 1280, "height": 900})
    page, user = made.new_page(), stack.user("operator")
    page.goto("/")
    page.locator("[name=login]").fill(user["name"])
    page.locator("[name=password]").fill(user["password"])
    page.locator("[name=password]").press("Enter")
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    page.close()
    yield made
    made.close()


def start(page: Page, policy: str) -> None:
    page.goto("/gates/start/")
    page.locator("#id_target").select_option("engine:hf-demo")
    option = page.locator("#id_policy option", has_text=policy).first
    page.locator("#id_policy").select_option(option.get_attribute("value"))
    production = page.locator("#id_production")
    expect(production).to_be_visible()
    production.check()
    page.locator("#id_note").fill("the test of a run from the browser")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_role("heading", name=re.compile("Gate run"), level=1)).to_be_visible()


def points(page: Page) -> int:
    """How many points the traces of the first chart hold now."""
    return int(page.evaluate("(document.querySelector('#charts .js-plotly-plot')?.data?.[0]?.x ?? []).length"))


def follow(context: BrowserContext, page: Page) -> None:
    """The charts grow without a reload, and who comes later sees what was there before."""
    expect(page.locator("#charts .js-plotly-plot").first).to_be_visible(timeout=60_000)
    seen = points(page)
    page.wait_for_function(
        "n => (document.querySelector('#charts .js-plotly-plot')?.data?.[0]?.x ?? []).length >= n + 4", arg=seen,
        timeout=15_000,
    )  # fmt: skip
    late = context.new_page()
    late.goto(page.url)
    expect(late.locator("#charts .js-plotly-plot").first).to_be_visible(timeout=STARTS)
    late.wait_for_function(
        "n => (document.querySelector('#charts .js-plotly-plot')?.data?.[0]?.x ?? []).length >= n", arg=seen + 4
    )
    late.close()


def judged(page: Page, *, seconds: float) -> None:
    """The verdict with its reason, and a grade beside the objectives."""
    expect(page.locator("#gate-head .status").first).to_have_text(VERDICT, timeout=seconds * 1000)
    expect(page.locator("#gate-head .lede b")).to_have_text(re.compile(r"\w{3}.*\."))
    expect(page.locator(".grade").first).to_be_visible()


def agrees(page: Page, folder: Path) -> None:
    run = page.url.rstrip("/").rsplit("/", 1)[1]
    for name in ("report.json", "samples.jsonl"):
        body = page.request.get(f"/gates/{run}/{name}").body()
        (folder / name).write_bytes(body)
    report, rows = load(folder / "report.json", folder / "samples.jsonl")
    assert differences(report, rows) == []
    counted = [stated for stated in report["objectives"] if stated["n"]]
    assert counted, json.dumps(report["reason"])


def test_a_brief_run_from_the_browser_is_live_judged_and_recomputed_exactly(
    context: BrowserContext, tmp_path: Path
) -> None:
    page = context.new_page()
    page.goto("/gates/policies/new/")
    for phase in ("spike", "soak"):
        page.locator(f"[name={phase}_on]").check()
    for name, value in BRIEF.items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("[name=reason]").fill("short enough for a test")
    page.get_by_role("button", name="Save version 1").click()
    expect(page.locator("body")).to_contain_text("brief v1 saved")
    start(page, "brief")
    follow(context, page)
    judged(page, seconds=150)
    agrees(page, tmp_path)


@pytest.mark.soak
def test_quick_from_the_browser_is_live_judged_and_recomputed_exactly(context: BrowserContext, tmp_path: Path) -> None:
    page = context.new_page()
    start(page, "quick")
    follow(context, page)
    judged(page, seconds=420)
    agrees(page, tmp_path)
