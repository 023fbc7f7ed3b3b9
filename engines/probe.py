"""One look at one replica: what it says of itself, whether it restarted, and a real generation if it did."""

import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any

from engines.client import EngineFailure, EngineHealth, Failure, FailureKind, Feature, GenerateRequest, HealthInput
from engines.health import GENERATION, HEARTBEAT, MODEL, Limits, reachable_input
from engines.http import Deadlines, HttpEngineClient

DEFAULT_LIMITS = Limits()
GENERATION_SECONDS = 30.0
GENERATION_TOKENS = 4
START_TOLERANCE = 1.0  # seconds by which two readings of one start time may differ
PROMPT = ({"role": "user", "content": "Say hello."},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which process was there at the last probe, and what it had shown. `steps_at` is when steps last advanced."""

    reachable: bool = False
    started_at: float | None = None
    generated: bool = False
    steps: float | None = None
    steps_at: float | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A short streamed generation. TTFT and total in seconds, from the sending of the request."""

    ttft: float | None = None
    seconds: float = 0.0
    tokens: int | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`inputs` are complete for health.score, but for the passive ones. `detected` goes into the feature record."""

    at: float
    seconds: float
    health: EngineHealth
    inputs: tuple[HealthInput, ...]
    identity: Identity
    restarted: bool
    generation: Generation | None = None
    detected: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        return next((item.value for item in self.inputs if item.name == name), None)


async def probe(
    client: HttpEngineClient,
    previous: Identity | None,
    *,
    now: float,
    tokens_age: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ProbeResult:
    """`now` is Unix seconds; `tokens_age` the seconds since real traffic last saw a token of this replica.

    2 s for the checks; on first contact and after a restart up to 30 s more for a generation."""
    begun = time.monotonic()
    seen = await client.health()
    reachable = reachable_input(seen, tokens_age, limits)
    before = previous or Identity()
    values = {item.name: item.value for item in seen.inputs}
    restarted = seen.reachable and is_restart(before, values)
    generated, generation = before.generated and not restarted, None
    if seen.reachable and not generated:
        generation = await generate_once(client, limit=GENERATION_SECONDS)
        generated = generation.failure is None
    identity = _identity(before, seen, values, reachable=reachable.value != 0, generated=generated, now=now)
    if restarted:
        identity = _with_version(identity, await client.version())
    own = (
        reachable,
        HealthInput(GENERATION, _generation_value(generated, generation), "flag", 0.0),
        HealthInput(MODEL, _serves(seen, client.served_model), "flag", 0.0),
        HealthInput(HEARTBEAT, heartbeat(before, identity, values, now), "seconds", 0.0),
    )
    return ProbeResult(
        at=now,
        seconds=time.monotonic() - begun,
        health=seen,
        inputs=own + tuple(HealthInput(item.name, item.value, item.unit, 0.0) for item in seen.inputs),
        identity=identity,
        restarted=restarted,
        generation=generation,
        detected=_detected(seen),
    )


def is_restart(before: Identity, values: Mapping[str, float | None]) -> bool:
    """First contact, back from unreachable, another start time, or a step counter that fell."""
    if not before.reachable:
        return True
    started, steps = values.get("started_at"), values.get("steps")
    if started is not None and before.started_at is not None:
        return abs(started - before.started_at) > START_TOLERANCE
    return steps is not None and before.steps is not None and steps < before.steps


def heartbeat(before: Identity, identity: Identity, values: Mapping[str, float | None], now: float) -> float | None:
    """Seconds that running requests have gone without an engine step; None where the engine does not count steps."""
    running, steps = values.get("running"), values.get("steps")
    if running is None or steps is None:
        return None
    if running == 0 or steps != before.steps or identity.steps_at is None:
        return 0.0
    return max(0.0, now - identity.steps_at)


async def generate_once(client: HttpEngineClient, *, limit: float, tokens: int = GENERATION_TOKENS) -> Generation:
    """A real answer through the same path as traffic. Never raises for what the engine does."""
    begun, first, stated = time.monotonic(), None, None
    request = GenerateRequest(messages=PROMPT, max_tokens=tokens, body={"temperature": 0})
    bounded = client.with_deadlines(Deadlines(first=limit, idle=limit, total=limit))
    try:
        async with aclosing(bounded.stream(request)) as chunks:
            async for chunk in chunks:
                if first is None and chunk.has_content:
                    first = time.monotonic() - begun
                stated = chunk.usage.output_tokens if chunk.usage else stated
    except EngineFailure as failed:
        return Generation(ttft=first, seconds=time.monotonic() - begun, failure=failed.failure)
    return Generation(ttft=first, seconds=time.monotonic() - begun, tokens=stated)


def identity_to_json(identity: Identity) -> dict[str, Any]:
    return asdict(identity)


def identity_from_json(body: Mapping[str, Any]) -> Identity | None:
    """None for an empty body: never probed."""
    return Identity(**body) if body else None


def _identity(
    before: Identity,
    seen: EngineHealth,
    values: Mapping[str, float | None],
    *,
    reachable: bool,
    generated: bool,
    now: float,
) -> Identity:
    if not seen.reachable:
        return Identity(
            reachable=reachable,
            started_at=before.started_at,
            generated=before.generated and reachable,
            steps=before.steps,
            steps_at=before.steps_at,
            version=before.version,
        )
    steps = values.get("steps")
    still = steps is not None and steps == before.steps and bool(values.get("running"))
    return Identity(
        reachable=True,
        started_at=values.get("started_at"),
        generated=generated,
        steps=steps,
        steps_at=before.steps_at if still and before.steps_at is not None else now,
        version=before.version,
    )


def _with_version(identity: Identity, version: str | None) -> Identity:
    return Identity(**{**asdict(identity), "version": version})


def _generation_value(generated: bool, generation: Generation | None) -> float | None:
    """A full engine may not generate for us just now, which proves nothing either way."""
    if generated:
        return 1.0
    if generation and generation.failure and generation.failure.kind is not FailureKind.SATURATED:
        return 0.0
    return None


def _serves(seen: EngineHealth, model: str) -> float | None:
    return float(model in seen.served_models) if seen.served_models else None


def _detected(seen: EngineHealth) -> dict[str, str]:
    values = {item.name: item.value for item in seen.inputs}
    found: dict[str, str] = {}
    if values.get("running") is not None:
        found[Feature.METRICS.value] = "yes:detected"
    if values.get("prefix_queries") is not None:
        found[Feature.PREFIX_CACHE.value] = "yes:detected"
    return found
