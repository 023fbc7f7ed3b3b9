"""A release from its request to its end in a real browser, and one that goes bad under live traffic."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.pages import Operator
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]

GATE_SECONDS = 420
STEP_SECONDS = 120


class Clients(threading.Thread):
    """`rate` requests a second, each a session of its own, until stopped; counts how they end and who answered."""

    def __init__(self, stack: Stack, rate: float) -> None:
        super().__init__(daemon=True)
        self.stack, self.rate = stack, rate
        self.ends, self.engines = Counter[str](), Counter[str]()
        self.stop = threading.Event()

    def __enter__(self) -> "Clients":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(60)

    def run(self) -> None:
        askers = []
        for number in range(100_000):
            if self.stop.wait(1 / self.rate):
                break
            askers.append(threading.Thread(target=self._ask, args=(number,), daemon=True))
            askers[-1].start()
        for asker in askers[-200:]:
            asker.join(30)

    def _ask(self, number: int) -> None:
        body = {"model": "demo", "messages": [{"role": "user", "content": "What is a canary?"}], "max_tokens": 8}
        headers = {
            "Authorization": f"Bearer {self.stack.facts['api_key']}", "Content-Type": "application/json",
            "x-session-id": f"client-{number}-{time.time()}",
        }  # fmt: skip
        url = f"{self.stack.facts['gateway_url']}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                self.engines[answer.headers["x-chosen-engine"]] += 1
                self.ends["ok"] += 1
        except urllib.error.HTTPError as error:
            self.ends[f"status {error.code}"] += 1
        except OSError as error:
            self.ends[type(error).__name__] += 1


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


def request_release(page: Page) -> str:
    """The address of the release's page."""
    page.goto("/releases/new/")
    page.locator("#id_route").select_option("demo")
    page.locator("#id_candidate").select_option("hf-demo-b")
    page.locator("#id_policy").select_option("demo")
    page.locator("#id_note").fill("the candidate answers as well and faster")
    page.get_by_role("button", name="Request the release").click()
    expect(page.get_by_role("heading", name=re.compile("Release"), level=1)).to_be_visible()
    return page.url


def approve(page: Page, stack: Stack, words: str) -> None:
    page.goto("/approvals/")
    page.locator("#queue").get_by_role("link", name=re.compile("A-")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)
    page.locator("#id_password").fill(stack.user("approver")["password"])
    page.get_by_role("button", name=re.compile("Approve")).click()
    expect(page.locator("body")).to_contain_text(re.compile("approved|used"))


def test_a_release_goes_from_its_gate_to_everything_with_two_approvals(people: dict[str, Page], stack: Stack) -> None:
    operator, approver = people["operator"], people["approver"]
    address = request_release(operator)
    head = operator.locator("#release-detail .page-head")
    expect(head).to_contain_text(re.compile("Awaiting approval|Held"), timeout=GATE_SECONDS * 1000)
    assert "Awaiting approval" in state_of(operator), operator.locator("#release-detail .lede").inner_text()
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
