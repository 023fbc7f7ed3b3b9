"""Simulated releases through the real detectors: how often a healthy one is rolled back, how soon a bad one is. Pure.

Traffic comes in clumps (two states that both arms share), so that nothing here rests on independent requests.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gates.detectors.bank import Alarm, Bank
from gates.detectors.events import Event, Objective
from gates.detectors.settings import DetectorSettings
from routing.outage import OutageWatch
from routing.split import BUCKETS

EVALUATE_SECONDS = 2.0
LAG_SECONDS = 2.0  # an outcome is saved within a second, a gateway's report is a second old
WALK = ((0.1, 600.0, 130), (0.5, 900.0, 600))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`bad` are long-run shares per objective, in a busy spell `clump` times the calm ones. Times in seconds."""

    rate: float = 2.0
    bad: Mapping[Objective, float] = field(
        default_factory=lambda: {Objective.ERRORS: 0.002, Objective.TTFT: 0.02, Objective.E2E: 0.03}
    )
    clump: float = 20.0
    busy_share: float = 0.05
    busy_seconds: float = 20.0
    median_seconds: float = 3.0
    sigma: float = 0.6
    limit_seconds: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """From second `start` on this share of an arm's requests fails: fast, or only at the limit when `hangs`."""

    canary: float = 0.0
    baseline: float = 0.0
    start: float = 0.0
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """`ready` is when it and all before it are decided; `failed_fast` feeds the outage path."""

    event: Event
    decided: float
    ready: float


def requests(
    world: World, dice: random.Random, *, share: float, start: float, seconds: float, fault: Fault | None = None
) -> Iterator[Request]:
    at, ready, busy, until = start, 0.0, False, start
    calm = 1 / (1 - world.busy_share + world.busy_share * world.clump)
    while (at := at + dice.expovariate(world.rate)) < start + seconds:
        while at > until:
            busy = dice.random() < world.busy_share
            until += dice.expovariate(1 / world.busy_seconds)
        canary = dice.random() < share
        factor = calm * (world.clump if busy else 1.0)
        bad = {name: dice.random() < rate * factor for name, rate in world.bad.items()}
        took = min(world.median_seconds * math.exp(dice.gauss(0, world.sigma)), world.limit_seconds)
        broken = (
            fault is not None and at >= fault.start and dice.random() < (fault.canary if canary else fault.baseline)
        )
        if broken or bad[Objective.ERRORS]:
            took = world.limit_seconds if fault is not None and fault.hangs and broken else 0.01
            bad = dict.fromkeys(Objective, True)
        bucket = int(dice.random() * BUCKETS)
        ready = max(ready, at + took)
        event = Event(assigned_at=at, canary=canary, share=share, unit=f"{at}", bucket=bucket, bad=bad)
        yield Request(event, at + took, ready)


def healthy(world: World, settings: DetectorSettings, seed: int) -> Alarm | None:
    """One release of a candidate like its baseline, through 10 % and 50 %: what rolled it back or paused it, if any."""
    dice, bank, start = random.Random(seed), Bank(settings), 0.0  # noqa: S311
    for share, dwell, least in WALK:
        before, end = bank.canary_requests(), start + dwell
        while True:
            for request in requests(world, dice, share=share, start=start, seconds=end - start):
                bank.see(request.event)
            alarm = bank.alarm()
            if alarm is not None:
                return alarm[0]
            start = end
            if bank.canary_requests() - before >= least:
                break
            end += 60.0
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds from the fault to the decision to roll back, and by what."""

    seconds: float
    by: str


def detection(
    world: World, settings: DetectorSettings, fault: Fault, seed: int, *, share: float = 0.1, horizon: float = 1800.0
) -> Found | None:
    """A release whose canary (or both arms) breaks after `fault.start` seconds of health; None when nobody noticed."""
    dice, bank = random.Random(seed), Bank(settings)  # noqa: S311
    run = list(requests(world, dice, share=share, start=0.0, seconds=fault.start + horizon, fault=fault))
    outage = _outage(run, fault)
    for request in run:
        bank.see(request.event)
        alarm = bank.alarm()
        if alarm is not None and alarm[0] is not Alarm.RATIO:
            told = request.ready + LAG_SECONDS
            decided = math.ceil(told / EVALUATE_SECONDS) * EVALUATE_SECONDS - fault.start
            if outage is not None and outage < decided:
                return Found(outage, "outage path")
            return Found(decided, alarm[0].value)
    return None if outage is None else Found(outage, "outage path")


def _outage(run: Sequence[Request], fault: Fault) -> float | None:
    """The gateway sees ends in the order in which they come."""
    watch = OutageWatch()
    for request in sorted(run, key=lambda item: item.decided):
        if watch.see(canary=request.event.canary, ok=not request.event.bad[Objective.ERRORS]):
            return request.decided - fault.start
    return None


def false_alarms(world: World, settings: DetectorSettings, *, releases: int, seed: int) -> Counter[str]:
    """How many of `releases` healthy ones each alarm ended; "none" for the others."""
    ends = (healthy(world, settings, seed * 1_000_003 + number) for number in range(releases))
    return Counter("none" if end is None else end.value for end in ends)


def detections(
    world: World, settings: DetectorSettings, fault: Fault, *, releases: int, seed: int, share: float = 0.1
) -> list[Found | None]:
    return [detection(world, settings, fault, seed * 1_000_003 + number, share=share) for number in range(releases)]


def quantile(values: Sequence[float], q: float) -> float:
    """Nearest rank."""
    return sorted(values)[math.ceil(q * len(values)) - 1]
