"""One operator's walk through the running product in a real browser: chat, stop, split, roll back, audit."""

import re
from collections.abc import Iterator

import openai
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.pages import Operator
from tests.e2e.releasing import Releasing
from tests.e2e.stack import Stack, wait_for
from tests.fakes.engine import FakeEngine, serve

pytestmark = [pytest.mark.stack, pytest.mark.browser]

SLOW = 20_000
WINDOW = 100_000  # a chart shows a window of 60 s once it is over, and looks each 15 s
REASON = "first step of a careful canary"


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Iterator[Page]:
    """Logged in as the operator; whatever the page complains about is an error at the end."""
    context = browser.new_context(base_url=stack.facts["console_url"], viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    user = stack.user("operator")
    opened.goto("/")
    opened.get_by_label("Name").fill(user["name"])
    opened.locator("[name=password]").fill(user["password"])
    opened.locator("[name=password]").press("Enter")
    expect(opened.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    yield opened
    context.close()
    assert complaints == []


def test_chat_in_two_panes_gives_answers_figures_and_the_reason_for_the_engine(page: Page) -> None:
    page.get_by_role("link", name="Playground").first.click()
    page.locator("#pane-2 select").select_option("hf-demo-b")
    page.locator("#prompt").fill("What is a canary?")
    page.locator("#prompt").press("Enter")
    for number in (1, 2):
        pane = page.locator(f"#pane-{number}")
        expect(pane.locator(".transcript")).to_contain_text("canary", timeout=SLOW, ignore_case=True)
        expect(pane.locator("[data-figure=finish]")).to_have_text("stop", timeout=SLOW)
        expect(pane.locator("[data-figure=ttft_ms]")).to_have_text(re.compile(r"\d"))
        expect(pane.locator("[data-figure=output]")).to_have_text(re.compile(r"\d"))
    expect(page.locator("#pane-1 .why")).to_contain_text("hf-demo", timeout=SLOW)
    expect(page.locator("#pane-2 .why")).to_contain_text("hf-demo-b", timeout=SLOW)


@pytest.fixture
def paced(stack: Stack) -> Iterator[FakeEngine]:
    """A fake on the demo route that takes a minute for its answer."""
    releasing = Releasing(stack)
    with serve(tokens=600, interval=0.1) as fake:
        releasing.register("paced", fake.url)
        releasing.join("paced")
        yield fake
        releasing.forget("paced")


def test_stop_reaches_the_engine(page: Page, paced: FakeEngine) -> None:
    """On a fake for its pace: the demo model's whole answer may be there before a person, or a test, can click."""
    page.goto("/playground/")
    page.locator("#pane-1 select").select_option("paced")
    page.locator("#prompt").fill("Tell me a very long story.")
    page.locator("#prompt").press("Enter")
    answer = page.locator("#pane-1 .transcript .prose").last
    expect(answer).to_contain_text(re.compile(r"\S{3}"), timeout=SLOW)
    page.locator("#pane-1 [data-act=stop]").click()
    expect(page.locator("#pane-1 [data-status]")).to_contain_text("Stopped", timeout=SLOW)
    wait_for(lambda: paced.cancelled == 1 and paced.running == 0, seconds=10, what="the engine saw the stop")
    page.keyboard.press("Escape")
    expect(page.locator("#pane-2 [data-status]")).to_contain_text(re.compile("Stopped|Complete"), timeout=SLOW)


def test_change_the_split_roll_it_back_and_find_both_in_the_audit(page: Page, stack: Stack) -> None:
    page.goto("/traffic/demo/")
    page.locator("[name='weight:hf-demo']").fill("90")
    page.locator("[name='weight:hf-demo-b']").fill("10")
    page.locator("#split-form [name=reason]").fill(REASON)
    expect(page.locator("#preview")).to_contain_text("10 %")
    apply = page.locator("#apply")
    expect(apply).to_contain_text("10 %")
    apply.click()
    expect(page.locator("body")).to_contain_text("Requested revision")
    expect(page.locator("main")).to_contain_text(re.compile("1 of 1"), timeout=SLOW)
    page.get_by_role("button", name=re.compile("Roll back|Back to")).first.click()
    with Operator(stack) as operator:
        assert operator.weights() == {"hf-demo": 100, "hf-demo-b": 0}
    page.goto("/audit/")
    expect(page.locator("main")).to_contain_text(REASON)
    expect(page.locator("main")).to_contain_text("route.restore")


def test_a_viewer_sees_values_and_no_dead_buttons(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.facts["console_url"])
    page, user = context.new_page(), stack.user("viewer")
    page.goto("/")
    page.locator("[name=login]").fill(user["name"])
    page.locator("[name=password]").fill(user["password"])
    page.locator("[name=password]").press("Enter")
    page.goto("/traffic/demo/")
    expect(page.locator("main")).to_contain_text("hf-demo-b")
    assert page.locator("main form").count() == 0
    context.close()


@pytest.mark.parametrize("path", ["/", "/engines/", "/engines/hf-demo/", "/traffic/demo/", "/playground/", "/audit/"])
@pytest.mark.parametrize("width", [1280, 400])
def test_no_page_scrolls_sideways_or_breaks_the_content_policy(page: Page, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("h1")).to_have_count(1)


def test_the_charts_offer_no_upload(page: Page, sdk: openai.OpenAI) -> None:
    sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": "What is a canary?"}])
    chart = page.locator(".js-plotly-plot").first
    expect(chart).to_be_visible(timeout=WINDOW)
    chart.hover()
    assert page.locator("[data-title*='Share'], [data-title*='cloud' i]").count() == 0
