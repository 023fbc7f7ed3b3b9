"""Before any load: what is tested, with which plan, does it answer, and can this machine send the plan."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from django.conf import settings

from engines.probe import GENERATION_SECONDS
from gates import journal, subject
from gates.ledger import Ledger
from gates.load.plan import Plan, Planned, build
from gates.load.samples import SampleOutcome
from gates.load.target import Answer, EngineTarget, GatewayTarget, Target
from gates.load.workload import PromptSource
from gates.models import GateRun
from gates.policy import Policy
from gates.replay import shape_of
from gates.verdict import GeneratorHealth
from gates.watch import Watch
from gates.writer import Writer
from routing.gateway.tokens import make_token

HEALTHY_TIMES = 3
REACH_SECONDS = 60.0
TOKEN_SECONDS = 900.0
LIVE_SECONDS = 2.0
PROBE_TOKENS = 4
SELF_TESTS = 2  # whatever the machine did at the first one may be over


class Unreachable(Exception):
    """The target gave no usable answer; the message says what was tried."""


class Unfit(Exception):
    """Whatever would be measured here could not be trusted."""


@dataclass(slots=True)
class Prepared:
    """`baseline` is how many requests were inside the engines before ours."""

    plan: Plan
    prompts: PromptSource
    target: Target
    watch: Watch
    baseline: float = 0.0


class Spread:
    """Several replicas of one engine, in turn by the number of the request."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets

    async def send(self, planned: Planned, messages: Sequence[dict[str, Any]], **how: Any) -> None:
        await self.targets[planned.index % len(self.targets)].send(planned, messages, **how)

    def close(self) -> None:
        for target in self.targets:
            target.close()


async def prepare(run: GateRun, policy: Policy, session: aiohttp.ClientSession, writer: Writer) -> Prepared:
    """Raises TargetGone, SealBroken, InvalidPolicy, or Unfit when the plan is not the one the run began with."""
    found = await writer.do(subject.load, run)
    shape = run.fingerprint.get("replay") or ()
    if policy.workload.source == "replay" and not shape:
        shape = await writer.do(shape_of, policy.workload.replay_route)
    prompts = PromptSource(policy.workload, run.seed, [tuple(entry) for entry in shape])
    plan = build(policy, seed=run.seed, prompts=prompts)
    if run.plan_digest and run.plan_digest != plan.digest:
        raise Unfit("The plan is not the one the run began with: the program changed in between. Start a new run.")
    fingerprint = {**found.fingerprint, "replay": shape} if shape else dict(found.fingerprint)
    if run.fingerprint and not _same(run.fingerprint, fingerprint):
        raise Unfit("The target is not the one the run began with: it was changed in between. Start a new run.")
    await writer.do(journal.describe, run.pk, run.fence, plan_digest=plan.digest, fingerprint=fingerprint)
    clients = subject.clients(found, session)
    if run.target_kind == GateRun.Target.ROUTE:
        target: Target = GatewayTarget(settings.GATEWAY_URL, run.target, token_factory(run.pk))
        return Prepared(plan, prompts, target, Watch(clients, answers=gateway_lives(session)))
    targets = [EngineTarget(client, networks=settings.ENGINE_NETWORKS) for client in clients]
    return Prepared(plan, prompts, targets[0] if len(targets) == 1 else Spread(targets), Watch(clients))


async def check(
    prepared: Prepared,
    policy: Policy,
    ledger: Ledger,
    *,
    gap: float,
    self_test: Callable[..., Awaitable[GeneratorHealth]],
) -> None:
    """Raises Unreachable or Unfit."""
    await _healthy(prepared.watch, gap)
    prepared.baseline = prepared.watch.server.load or 0.0
    seconds = await _answers(prepared, policy)
    await ledger.note("preflight", f"The target answers; a streamed probe took {seconds:.2f} s.")
    for _attempt in range(SELF_TESTS):
        health = await self_test(policy, seed=prepared.plan.seed, prompts=prepared.prompts)
        if not health.breaches:
            break
    else:
        raise Unfit(f"The load generator is not fit on this machine now. {' '.join(health.breaches)}")
    await ledger.note("preflight", "The load generator kept its schedule at twice the rate.")


async def _healthy(watch: Watch, gap: float) -> None:
    """Three good looks in a row."""
    good, begun = 0, time.monotonic()
    while good < HEALTHY_TIMES:
        before = watch.seen_at
        await watch.look()
        good = good + 1 if watch.seen_at > before else 0
        if time.monotonic() - begun > REACH_SECONDS:
            raise Unreachable(f"The target was not healthy within {REACH_SECONDS:.0f} s.")
        await asyncio.sleep(gap)


async def _answers(prepared: Prepared, policy: Policy) -> float:
    """One short streamed generation, on the path that the load will take."""
    chosen = prepared.prompts.choose_warm_up(0)
    planned = Planned(0, policy.phases[0], None, 0, chosen.prompt_id, prepared.plan.seed, PROBE_TOKENS)
    answer, begun = Answer(), time.monotonic()
    messages = prepared.prompts.messages(chosen.prompt_id)
    try:
        async with asyncio.timeout(GENERATION_SECONDS):
            await prepared.target.send(planned, messages, workload=policy.workload, answer=answer)
    except TimeoutError:
        raise Unreachable(f"A streamed probe did not end within {GENERATION_SECONDS:.0f} s.") from None
    if answer.outcome is not SampleOutcome.OK:
        raise Unreachable(f"A streamed probe failed: {answer.error or answer.outcome}")
    return time.monotonic() - begun


def token_factory(run_id: int) -> Callable[[], str]:
    """Tokens that the gateway takes for gate traffic; a new one in time before each expires."""
    held: list[Any] = ["", 0.0]

    def token() -> str:
        now = time.time()
        if now > held[1] - TOKEN_SECONDS / 2:
            held[1] = now + TOKEN_SECONDS
            held[0] = make_token("gate", f"gate run {run_id}", held[1], settings.INTERNAL_TOKEN_KEY.encode())
        return str(held[0])

    return token


def gateway_lives(session: aiohttp.ClientSession) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        try:
            async with asyncio.timeout(LIVE_SECONDS), session.get(f"{settings.GATEWAY_URL}/livez") as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    return ask


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """A new address or a longer list of features does not matter; a version counts where both are known."""
    first, second = before.get("engines", ()), now.get("engines", ())
    return len(first) == len(second) and all(
        all(one.get(name) == other.get(name) for name in ("engine", "kind", "served_model"))
        and (not one.get("versions") or not other.get("versions") or one["versions"] == other["versions"])
        for one, other in zip(first, second, strict=True)
    )
