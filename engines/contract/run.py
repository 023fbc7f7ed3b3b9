"""The list of capabilities in their order, and the run of all checks against one engine."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from engines.client import EngineFailure
from engines.contract import answers, refusals
from engines.contract.values import Bench, Broken, Finding, Found, Outcome
from engines.http import HttpEngineClient
from engines.transport import deadline

CHECK_SECONDS = 45.0

Check = Callable[[Bench], Awaitable[Found]]
CHECKS: dict[str, Check] = {
    "health": answers.health,
    "features": refusals.features,
    "generate": answers.generate,
    "stream": answers.stream,
    "usage": answers.usage,
    "stop reasons": answers.stop_reasons,
    "tokenize": answers.tokenize,
    "cancel": answers.cancel,
    "unicode": answers.unicode,
    "error 400": refusals.bad_request,
    "error 401": refusals.unauthorized,
    "error 404": refusals.not_found,
    "error 429, 503": refusals.overload,
    "context overflow": refusals.context_overflow,
    "reasoning": refusals.reasoning,
    "tool calls": refusals.tools,
    "logprobs": refusals.logprobs,
    "JSON schema": refusals.json_schema,
}
CAPABILITIES = tuple(CHECKS)


async def run(
    client: HttpEngineClient, *, session: aiohttp.ClientSession, api_key: str | None = None
) -> AsyncIterator[Finding]:
    """Each finding as it is made. Sends about twenty short requests; never raises for what the engine does."""
    bench = Bench(client, session, api_key)
    try:
        bench.context_length = (await client.models()).context_length
    except EngineFailure:
        bench.context_length = None  # the check of its health says why
    for capability, check in CHECKS.items():
        began = time.monotonic()
        outcome, detail = await _tried(check, bench)
        yield Finding(capability, outcome, detail, round(time.monotonic() - began, 3))


async def _tried(check: Check, bench: Bench) -> Found:
    try:
        async with deadline(CHECK_SECONDS):
            return await check(bench)
    except Broken as broken:
        return Outcome.FAIL, str(broken)
    except EngineFailure as failed:
        return Outcome.FAIL, failed.failure.message
