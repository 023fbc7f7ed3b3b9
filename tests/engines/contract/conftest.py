"""Engines that are held to the contract: our server with the demo model, and the double of TensorRT-LLM."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import aiohttp
import pytest

from engines.adapters import get_adapter
from engines.contract import Finding, run
from engines.hf.demo import MODEL_DIR
from engines.http import HttpEngineClient
from tests.engines.hf.tiny import ThreadedServer
from tests.fakes import trtllm

KEY = "the-key-of-the-engine"
Held = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture(scope="package")
def hf() -> Iterator[ThreadedServer]:
    """The demo model, which answers in sentences."""
    with ThreadedServer(MODEL_DIR, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="package")
def double() -> Iterator[trtllm.TrtllmDouble]:
    with trtllm.serve() as running:
        yield running


@pytest.fixture
def held() -> Held:
    """Runs the contract; findings by capability."""

    async def hold(kind: str, url: str, *, model: str, key: str | None = None, record: Mapping[str, str] | None = None,
                   **_more: Any) -> dict[str, Finding]:  # fmt: skip
        async with aiohttp.ClientSession() as session:
            client = HttpEngineClient(
                get_adapter(kind), url, session=session, served_model=model, api_key=key, record=record
            )
            return {finding.capability: finding async for finding in run(client, session=session, api_key=key)}

    return hold
