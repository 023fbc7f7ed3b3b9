"""Session-wide tiny models and servers; each test opens its own client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.engines.hf.tiny import ThreadedServer, save_gpt_oss, save_llama


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def server(llama_folder: Path) -> Iterator[ThreadedServer]:
    with ThreadedServer(llama_folder) as running:
        yield running


@pytest.fixture(scope="session")
def gpt_oss_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedServer]:
    with ThreadedServer(save_gpt_oss(tmp_path_factory.mktemp("gpt_oss"))) as running:
        yield running


@pytest.fixture
async def client(server: ThreadedServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.base) as session:
        yield session
