"""A release from its request to its end in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.clients import Clients
from tests.e2e.pages import Operator
from tests.e2e.releasing import Releasing
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]

GATE_SECONDS = 420
STEP_SECONDS = 120


@pytest.fixture
def people(stack: Stack, browser: Browser) -> Iterator[dict[str, Page]]:
    """The operator and the approver, each in a browser of their own."""
    contexts = [browser.new_context(base_url=stack.facts["console_url"]) for _ in range(2)]
    pages = {}
    for role, context in zip(("operator", "approver"), contexts, strict=True):
        page, user = context.new_page(), stack.user(role)
        page.goto("/")
        page.locator("[name=login]").fill(user["name"])
        page.locator("[name=password]").fill(user["password"])
        page.locator("[name=password]").press("Enter")
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        pages[role] = page
    yield pages
    for context in contexts:
        context.close()


def state_of(page: Page) -> str:
    return str(page.locator("#release-detail .page-head .status").first.inner_text())


def request_release(page: Page, policy: str) -> str:
    """The address of the release's page."""
    page.goto("/releases/new/")
    page.locator("#id_route").select_option("demo")
    page.locator("#id_candidate").select_option("hf-demo-b")
    page.locator("#id_policy").select_option(policy)
    page.locator("#id_note").fill("the candidate answers as well and faster")
    page.get_by_role("button", name="Request the release").click()
    expect(page.get_by_role("heading", name=re.compile("Release"), level=1)).to_be_visible()
    return page.url


def pass_the_gate(page: Page) -> None:
    """A gate that this machine's other work made INVALID is run again, as its operator would."""
    head = page.locator("#release-detail .page-head")
    for _ in range(2):
        expect(head).to_contain_text(re.compile("Awaiting approval|Held"), timeout=GATE_SECONDS * 1000)
        if "Awaiting approval" in state_of(page):
            return
        expect(page.locator("#release-detail .lede")).to_contain_text("invalid")
        page.get_by_role("button", name="Run the gate again").click()
        expect(head).to_contain_text("Gating")
    expect(head).to_contain_text("Awaiting approval", timeout=GATE_SECONDS * 1000)


def approve(page: Page, stack: Stack, words: str) -> None:
    page.goto("/approvals/")
    page.locator("#queue").get_by_role("link", name=re.compile("A-")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)
    page.locator("#id_password").fill(stack.user("approver")["password"])
    page.get_by_role("button", name=re.compile("Approve")).click()
    expect(page.locator("body")).to_contain_text(re.compile("approved|used"))


@pytest.mark.parametrize("policy", ["short", pytest.param("demo", marks=pytest.mark.soak)])
def test_a_release_goes_from_its_gate_to_everything_with_two_approvals(
    people: dict[str, Page], stack: Stack, policy: str
) -> None:
    """`demo` as it is, with the gate `quick` of three minutes; `short` the same walk with a gate of seconds."""
    if policy == "short":
        Releasing(stack).prepare()
    operator, approver = people["operator"], people["approver"]
    address = request_release(operator, policy)
    head = operator.locator("#release-detail .page-head")
    pass_the_gate(operator)
    operator.goto("/approvals/?tab=mine")
    operator.locator("#queue").get_by_role("link", name=re.compile("A-")).first.click()
    expect(operator.locator("main")).to_contain_text("another person has to approve")
    operator.goto(address)
    with Clients(stack, 6) as clients:
        approve(approver, stack, "0 % → 10 %")
        expect(head).to_contain_text("Baking 10 %", timeout=STEP_SECONDS * 1000)
        expect(head).to_contain_text("Awaiting approval", timeout=STEP_SECONDS * 1000)
        approve(approver, stack, "50 % → 100 %")
        expect(head).to_contain_text(re.compile("Final"), timeout=STEP_SECONDS * 1000)
    assert set(clients.ends) == {"ok"}, clients.ends
    assert clients.engines["hf-demo-b"] > 20
    operator.goto("/audit/?subject=release:" + address.rstrip("/").rsplit("/", 1)[1])
    for action in ("release.create", "release.gating", "release.approved", "release.shifting", "release.final"):
        expect(operator.locator("main")).to_contain_text(action)
    with Operator(stack) as person:
        assert person.weights()["hf-demo-b"] == 100
        person.change_split({"hf-demo": 100, "hf-demo-b": 0}, "back to the beginning for the next test")
