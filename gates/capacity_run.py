"""Runs a capacity search: one open loop after the other against an engine, each judged before the next is chosen."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from time import monotonic_ns
from typing import Any

import aiohttp

from gates import stats
from gates.capacity import ATTAINMENT, Found, Probe, Saturation, Search, State, Stop, found, judge, next_rate, to_json
from gates.desk import Desk, as_json, target_of
from gates.load import generator
from gates.load.flight import Progress
from gates.load.generator import PhaseResult
from gates.load.plan import SECOND, build
from gates.load.samples import Sample
from gates.load.target import Target
from gates.load.workload import PromptSource
from gates.policy import Mode, OpenLoop, Policy, Spacing
from gates.watch import Watch

LOOK_SECONDS = 0.5
COOL_SECONDS = 15.0
MOST_IN_FLIGHT = 4096
HOLD_SECONDS = 30.0
AGAIN = 3  # how much longer an undecided probe is when it is tried once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Times in seconds. A probe is `probe_seconds` long or as long as `least_requests` take, at most `longest_seconds`.

    `settle_seconds` come before and are not judged. `confirm_seconds` is one more probe at the rate that was found.
    """

    start: float = 1.0
    cap: float = 64.0
    probe_seconds: float = 20.0
    settle_seconds: float = 5.0
    longest_seconds: float = 180.0
    least_requests: int = 120
    confirm_seconds: float = 0.0
    seed: int = 1

    @property
    def search(self) -> Search:
        return Search(start=self.start, cap=self.cap)

    def seconds(self, rate: float) -> float:
        return min(max(self.probe_seconds, self.least_requests / rate), max(self.longest_seconds, self.probe_seconds))

    def longer(self, seconds: float) -> float:
        """Of the second try at a rate that the first did not decide."""
        return max(seconds, min(AGAIN * seconds, self.longest_seconds))


def options_of(body: Mapping[str, Any]) -> Options:
    return Options(**{name: body[name] for name in Options.__slots__ if name in body})


class InvalidOptions(ValueError):
    """The search cannot be run; the message says which value is wrong."""


def check(options: Options) -> None:
    """Raises InvalidOptions."""
    if not 0 < options.start <= options.cap <= 1000:
        raise InvalidOptions("The first rate is above 0, and the highest at least that and at most 1,000 per second.")
    if not 1 <= options.probe_seconds <= 3600 or not 0 <= options.settle_seconds <= 600:
        raise InvalidOptions("A probe lasts 1 to 3,600 s and settles for 0 to 600 s.")
    if not 0 <= options.confirm_seconds <= 3600:
        raise InvalidOptions("The confirmation lasts 0 to 3,600 s; 0 leaves it out.")
    if options.least_requests < (stats.floor(1 - ATTAINMENT) or 0):
        raise InvalidOptions("Fewer than 59 requests can never show an attainment of 95 %.")


Probing = Callable[[float, float], Awaitable[Probe]]


async def climb(
    search: Search, options: Options, probe: Probing, keep: Callable[[list[Probe]], Awaitable[None]]
) -> tuple[list[Probe], Found]:
    """The loop of the search: `probe` (rate, seconds) measures, an undecided one again, `keep` stores each."""
    probes: list[Probe] = []
    while not isinstance(wanted := next_rate(search, probes), Stop):
        seconds = options.seconds(wanted)
        one = await probe(wanted, seconds)
        if one.state is State.UNRESOLVED and options.longer(seconds) > seconds:
            one = await probe(wanted, options.longer(seconds))
        probes.append(one)
        await keep(probes)
    return probes, found(search, probes, wanted)


class Prober:
    """Probes one engine. `policy` gives objectives, prompts and time limits; its phases are not used."""

    def __init__(
        self,
        desk: Desk,
        policy: Policy,
        target: Target,
        watch: Watch,
        options: Options,
        *,
        run_phase: Callable[..., Awaitable[PhaseResult]] = generator.run_phase,
    ) -> None:
        self.desk, self.policy, self.target, self.watch, self.options = desk, policy, target, watch, options
        self.run_phase = run_phase
        self.count = 0

    async def probe(self, rate: float, seconds: float) -> Probe:
        """Raises Cancelled."""
        options, seed = self.options, self.options.seed + self.count
        self.count += 1
        policy = probe_policy(self.policy, rate, options.settle_seconds + seconds)
        prompts = PromptSource(policy.workload, seed)
        plan = build(policy, seed=seed, prompts=prompts).phases[0]
        samples: list[Sample] = []
        saturation = Saturation(min(HOLD_SECONDS, seconds / 2))
        over, progress = asyncio.Event(), Progress()

        def take(fresh: list[Sample]) -> None:
            samples.extend(fresh)
            for sample in fresh:
                if sample.first_token_ns is not None:
                    at = sample.intended_ns
                    saturation.answered(at / SECOND, (sample.first_token_ns - at) / SECOND)

        watching = asyncio.create_task(self._watch(saturation, progress, over, seconds))
        try:
            result = await self.run_phase(
                plan, policy=policy, prompts=prompts, target=self.target, on_samples=take, stop=over, progress=progress
            )
        finally:
            watching.cancel()
        self.desk.check()
        settled = [sample for sample in samples if sample.intended_ns >= options.settle_seconds * SECOND]
        judged = judge(
            rate, settled, policy.objectives, breaches=result.health.breaches, saturated=over.is_set(),
            seconds=max(0.0, result.end.seconds - options.settle_seconds), in_flight=saturation.mean,
        )  # fmt: skip
        await self.watch.until_idle(most=COOL_SECONDS)
        return judged

    async def _watch(self, saturation: Saturation, progress: Progress, over: asyncio.Event, seconds: float) -> None:
        """Ends the probe when requests pile up, or when the study is cancelled."""
        while not over.is_set():
            await asyncio.sleep(LOOK_SECONDS)
            at = (monotonic_ns() - progress.origin_ns) / SECOND - self.options.settle_seconds
            if self.desk.stop.is_set() or (0 <= at <= seconds and saturation.see(at, progress.in_flight)):
                over.set()


def probe_policy(policy: Policy, rate: float, seconds: float) -> Policy:
    """The cap of requests in flight is above what the objectives allow, so that reaching it is not the generator's."""
    cap = min(MOST_IN_FLIGHT, max(policy.in_flight_cap, math.ceil(1.5 * rate * policy.objectives.e2e_p95)))
    return Policy(
        name="capacity",
        step=None,
        spike=None,
        soak=OpenLoop(rate=rate, seconds=seconds, spacing=Spacing.POISSON),
        objectives=policy.objectives,
        workload=policy.workload,
        mode=Mode.DIAGNOSE,
        warm_up_requests=policy.warm_up_requests,
        warm_up_seconds=policy.warm_up_seconds,
        drain_seconds=max(policy.drain_seconds, policy.objectives.e2e_p95),
        request_timeout=policy.request_timeout,
        in_flight_cap=cap,
    )


async def run(desk: Desk, policy: Policy, session: aiohttp.ClientSession, **how: Any) -> str:
    """The whole study; its result in words. Raises Cancelled, Unreachable, TargetGone."""
    options = options_of(desk.options)
    clients = await desk.clients(desk.study.target, session)
    target = target_of(clients)
    prober = Prober(desk, policy, target, Watch(clients), options, **how)
    first = probe_policy(policy, options.start, options.probe_seconds)
    await desk.warm(first, PromptSource(first.workload, options.seed), target, options.seed)

    async def keep(probes: list[Probe]) -> None:
        desk.say(line(probes[-1]))
        await desk.keep(probes=[to_json(one) for one in probes])

    _, result = await climb(options.search, options, prober.probe, keep)
    sentence = result.sentence
    if options.confirm_seconds and result.lo is not None:
        confirmation = await prober.probe(result.lo, options.confirm_seconds)
        desk.say(line(confirmation))
        sentence += f" {confirmed(confirmation)}"
        await desk.keep(confirmation=to_json(confirmation))
    await desk.keep(result={**as_json(result), "sentence": sentence}, objectives=asdict(policy.objectives))
    return sentence


def confirmed(probe: Probe) -> str:
    words = {State.PASS: "held it", State.FAIL: "did not hold it", State.UNRESOLVED: "did not decide it"}
    return f"A probe of {probe.seconds:.0f} s at {probe.rate:.2f} {words[probe.state]}."


def line(probe: Probe) -> str:
    share = "—" if probe.attainment is None else f"{probe.attainment:.1%}"
    return (
        f"{probe.rate:8.2f}/s  {probe.state.value:<10}  {share:>6} of {probe.n:<5} "
        f"[{probe.low:.1%}, {probe.high:.1%}]  {probe.reason}"
    )
