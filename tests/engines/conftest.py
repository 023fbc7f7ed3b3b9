"""Fixtures of the engine tests: a session that may reach loopback."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from engines.http import new_session
from engines.network import DEFAULT_NETWORKS


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_session(DEFAULT_NETWORKS) as opened:
        yield opened
