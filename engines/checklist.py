"""The live check list of the register page: from the name to a streamed answer, one line after the other."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp

from engines.adapters import get_adapter
from engines.adapters.base import Listing
from engines.client import Answer, EngineFailure, FailureKind, Feature, HealthInput
from engines.http import HttpEngineClient
from engines.network import CheckedUrl, Network, UrlRefused, check_url
from engines.probe import GENERATION_SECONDS, generate_once

CONNECT_SECONDS = 2.0
COMPLETION_TOKENS = 5


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Check:
    """One finished line. `seconds` is how long it took; None where it was not tried."""

    name: str
    state: State
    detail: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An engine that may not be saved yet."""

    kind: str
    url: str
    served_model: str
    api_key: str | None = None
    record: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Findings:
    """What earlier checks leave for later ones. `broken` names the check without which the rest is pointless."""

    target: Target
    networks: tuple[Network, ...]
    session: aiohttp.ClientSession
    broken: str = ""
    address: CheckedUrl | None = None
    listing: Listing | None = None
    metrics: tuple[HealthInput, ...] = ()
    can_tokenize: bool | None = None

    @property
    def client(self) -> HttpEngineClient:
        target = self.target
        return HttpEngineClient(
            get_adapter(target.kind),
            self.address.base if self.address else target.url,
            session=self.session,
            served_model=target.served_model,
            api_key=target.api_key,
            record=target.record,
        )


Step = Callable[[_Findings], Awaitable[tuple[State, str]]]


async def checklist(
    target: Target, *, session: aiohttp.ClientSession, networks: Iterable[Network]
) -> AsyncIterator[Check]:
    """Each check as it ends. After one that all others need has failed, the rest is skipped."""
    findings = _Findings(target, tuple(networks), session)
    for name, needed, step in STEPS:
        if findings.broken:
            yield Check(name, State.SKIP, f"Not tried, because {findings.broken} failed.")
            continue
        begun = time.monotonic()
        try:
            state, detail = await step(findings)
        except EngineFailure as failed:
            state, detail = State.FAIL, failed.failure.message
        if needed and state is State.FAIL:
            findings.broken = name
        yield Check(name, state, detail, None if state is State.SKIP else time.monotonic() - begun)


def detected_features(checks: Iterable[Check]) -> dict[str, str]:
    """What a finished list proved, for the engine's feature record."""
    names = {"Tokenize": Feature.TOKENIZE, "Metrics": Feature.METRICS}
    answers = {State.OK: "yes:detected", State.WARN: "no:detected"}
    return {names[c.name].value: answers[c.state] for c in checks if c.name in names and c.state in answers}


async def _dns(findings: _Findings) -> tuple[State, str]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            findings.address = await asyncio.to_thread(check_url, findings.target.url, findings.networks)
    except UrlRefused as refused:
        return State.FAIL, str(refused)
    except TimeoutError:
        return State.FAIL, "The name was not resolved within 2 s. Check the DNS."
    host, addresses = findings.address.host, findings.address.addresses
    if addresses == (host,):
        return State.OK, f"{host} is an address; there is nothing to resolve."
    return State.OK, f"{host} is {', '.join(addresses)}."


async def _tcp(findings: _Findings) -> tuple[State, str]:
    port = findings.address.port if findings.address else 0
    error = await _connect(findings, None)
    if error is None:
        return State.OK, f"Port {port} accepts connections."
    return State.FAIL, f"Port {port} does not accept connections. Is the engine running and listening there?"


async def _tls(findings: _Findings) -> tuple[State, str]:
    if not findings.target.url.startswith("https:"):
        return State.SKIP, "Plain HTTP: prompts travel unencrypted. Use it on a trusted network only."
    error = await _connect(findings, ssl.create_default_context())
    if error is None:
        return State.OK, "The certificate is trusted and fits the name."
    reason = getattr(error, "verify_message", "") or "the server speaks no TLS on this port"
    return State.FAIL, f"No secure connection: {reason}."


async def _health(findings: _Findings) -> tuple[State, str]:
    path = findings.client.adapter.health_path
    try:
        await findings.client.get(path)
    except EngineFailure as failed:
        return State.FAIL, f"{path}: {failed.failure.message} It may still be loading its model."
    return State.OK, f"{path} answers 200."


async def _models(findings: _Findings) -> tuple[State, str]:
    listing = findings.listing = await findings.client.models()
    names = ", ".join(listing.models[:5]) or "none"
    if findings.target.served_model not in listing.models:
        return State.FAIL, f"“{findings.target.served_model}” is not served. Served: {names}."
    length = f" with a context of {listing.context_length} tokens" if listing.context_length else ""
    return State.OK, f"“{findings.target.served_model}” is served{length}."


async def _completion(findings: _Findings) -> tuple[State, str]:
    done = await generate_once(findings.client, limit=GENERATION_SECONDS, tokens=COMPLETION_TOKENS)
    if done.failure:
        return State.FAIL, done.failure.message
    if done.ttft is None:
        return State.WARN, "The stream ended properly, but without any text."
    count = f"{done.tokens} tokens" if done.tokens is not None else "tokens not stated"
    return State.OK, f"First token after {done.ttft * 1000:.0f} ms, {count} in {done.seconds:.2f} s."


async def _tokenize(findings: _Findings) -> tuple[State, str]:
    client = findings.client
    if client.adapter.tokenize_request("", served_model="") is None:
        return State.WARN, f"{client.adapter.title} has none; input tokens are estimated from the length."
    try:
        count = len(await client.tokenize("How long is this?"))
    except EngineFailure as failed:
        if failed.failure.kind in (FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST):
            return State.WARN, "Not found; input tokens are estimated from the length."
        return State.FAIL, failed.failure.message
    return State.OK, f"“How long is this?” is {count} tokens."


async def _metrics(findings: _Findings) -> tuple[State, str]:
    client = findings.client
    try:
        findings.metrics = await client.metrics()
    except EngineFailure as failed:
        return State.WARN, f"{client.adapter.metrics_path}: {failed.failure.message} Load stays unknown."
    known = [item.name for item in findings.metrics if item.value is not None]
    if not known:
        return State.WARN, f"{client.adapter.metrics_path} holds none of the expected numbers. Load stays unknown."
    return State.OK, f"Found: {', '.join(known)}."


async def _features(findings: _Findings) -> tuple[State, str]:
    words = {Answer.YES: "yes", Answer.NO: "no", Answer.UNKNOWN: "not known"}
    answers = {feature: findings.client.supports(feature).answer for feature in Feature}
    parts = [
        f"{words[answer]}: {', '.join(feature.value for feature in Feature if answers[feature] is answer)}"
        for answer in Answer
        if answer in answers.values()
    ]
    return State.OK, "; ".join(parts) + "."


STEPS: tuple[tuple[str, bool, Step], ...] = (
    ("DNS", True, _dns),
    ("TCP", True, _tcp),
    ("TLS", True, _tls),
    ("Health", False, _health),
    ("Models", False, _models),
    ("Streamed completion", False, _completion),
    ("Tokenize", False, _tokenize),
    ("Metrics", False, _metrics),
    ("Features", False, _features),
)


async def _connect(findings: _Findings, context: ssl.SSLContext | None) -> OSError | None:
    """Open and close one connection to the first checked address; the error, or None when it worked."""
    address = findings.address
    if address is None:
        return OSError("no address")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(
                address.addresses[0],
                address.port,
                ssl=context,
                server_hostname=address.host if context else None,
            )
    except (OSError, TimeoutError) as error:
        return error
    writer.close()
    return None
