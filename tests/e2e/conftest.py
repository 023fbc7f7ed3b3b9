"""One running stack for all end-to-end tests, and a browser."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.stack import Stack
from tests.fakes.collector import Collector, serve

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    running = Stack(
        tmp_path_factory.mktemp("stack"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="500",
        OTEL_METRIC_EXPORT_INTERVAL="2000",
        TRACE_SAMPLE_RATIO="1",
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright runs an event loop of its own; within one module it meets no asynchronous test."""
    if not CHROMIUM.exists():
        pytest.skip("LEFT OUT: no /usr/bin/chromium on this machine, so no page was looked at")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def sdk(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{stack.facts['gateway_url']}/v1", api_key=stack.facts["api_key"], max_retries=0, timeout=60
    ) as client:
        yield client
