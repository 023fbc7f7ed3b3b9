"""Runs a tuning sweep: each point's engine is started here, asked, warmed up, loaded and stopped again."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from engines import local
from engines.adapters import get_adapter
from engines.http import HttpEngineClient, new_session
from engines.launch.profile import Profile
from engines.local import LocalProcess, NotInstalled
from engines.models import TuningSweep
from engines.probe import generate_once
from engines.profiles import value_of
from gates import sweep, sweeps
from gates.load import generator
from gates.load.plan import build
from gates.load.samples import Sample
from gates.load.target import EngineTarget
from gates.load.workload import PromptSource
from gates.sweep import Options, Point

LOOK_SECONDS = 0.25
STOP_SECONDS = 20.0
ANSWER_SECONDS = 60.0  # the first answer after a start may be slow

Say = Callable[[str], object]
Measure = Callable[[Profile, Options, int, Path], Point]


class NotReady(Exception):
    """The engine of a point did not come up; the message says how far it got."""


def conduct(row: TuningSweep, *, port: int, folder: Path, say: Say, measure: Measure | None = None) -> bool:
    """All points, one after the other; each is stored at once. False when none keeps the objectives."""
    options, points = sweep.options_from_json(row.options), list[Point]()
    try:
        for profile in sweep.combinations(value_of(row.profile), options.grid):
            point = (measure or measure_point)(profile, options, port, folder)
            points.append(point)
            sweeps.keep(row, points)
            say(line(point, options))
    except KeyboardInterrupt:
        sweeps.finish(row, sweeps.State.STOPPED, f"Stopped after {len(points)} points.")
        raise
    except Exception as error:
        sweeps.finish(row, sweeps.State.FAILED, f"{type(error).__name__}: {error}")
        raise
    place = sweep.best(points, options.objectives)
    sweeps.finish(row, sweeps.State.DONE, summary(points, place))
    say(row.reason)
    return place is not None


def measure_point(profile: Profile, options: Options, first_port: int, folder: Path) -> Point:
    try:
        port = local.free_port(first_port)
        command = local.local_command(profile, port=port, options_file=folder / "options.yaml")
        return asyncio.run(_measure(profile, options, local.url_of(profile, port), local.words(command), folder))
    except (NotReady, NotInstalled) as refused:
        return sweep.not_measured(profile, options.grid, str(refused))


async def _measure(profile: Profile, options: Options, url: str, words: list[str], folder: Path) -> Point:
    log = folder / "engine.log"
    process = LocalProcess(words, log)
    await process.start()
    try:
        async with new_session(settings.ENGINE_NETWORKS) as session:
            client = HttpEngineClient(get_adapter(profile.kind), url, session=session, served_model=profile.served_name)
            await ready(client, process, options.ready_seconds, log)
            return await load(profile, options, client)
    finally:
        await process.stop(STOP_SECONDS)


async def ready(client: HttpEngineClient, process: LocalProcess, seconds: float, log: Path) -> None:
    """Until it answers a prompt. Raises NotReady when it ends before, or time runs out."""
    ended, deadline = asyncio.ensure_future(process.wait()), time.monotonic() + seconds
    try:
        while not (await client.health()).reachable:
            if ended.done():
                raise NotReady(f"The engine ended with code {ended.result()}; see {log}.")
            if time.monotonic() > deadline:
                raise NotReady(f"The engine was not ready after {seconds:.0f} s; see {log}.")
            await asyncio.sleep(LOOK_SECONDS)
        answer = await generate_once(client, limit=ANSWER_SECONDS)
        if answer.failure is not None:
            raise NotReady(f"The engine does not answer: {answer.failure.message}")
    finally:
        ended.cancel()
        with suppress(asyncio.CancelledError):
            await ended


async def load(profile: Profile, options: Options, client: HttpEngineClient) -> Point:
    policy = options.policy
    prompts = PromptSource(policy.workload, options.seed)
    plan = build(policy, seed=options.seed, prompts=prompts).phases[0]
    target = EngineTarget(client, networks=settings.ENGINE_NETWORKS)
    await generator.warm_up(policy, prompts=prompts, target=target, seed=options.seed)
    target.close()
    samples: list[Sample] = []
    result = await generator.run_phase(plan, policy=policy, prompts=prompts, target=target, on_samples=samples.extend)
    seconds = sum(length for _, length in result.end.level_seconds)
    return sweep.measured_point(profile, options.grid, samples, seconds, result.health.breaches)


def line(point: Point, options: Options) -> str:
    name = sweep.described(point.settings, [name for name, _ in options.grid])
    if point.words:
        return f"{name}: {point.words}"
    kept = "; ".join(sweep.misses(point, options.objectives)) or "keeps the objectives"
    latencies = f"TTFT P95 {_figure(point.ttft_p95)} s, E2E P95 {_figure(point.e2e_p95)} s"
    return f"{name}: {_figure(point.tokens)} tokens/s, {latencies}; {kept}"


def summary(points: list[Point], place: int | None) -> str:
    if place is None:
        return "No setting keeps the objectives."
    point = points[place]
    name = sweep.described(point.settings, point.settings)
    return f"Best that keeps the objectives: {name}, {_figure(point.tokens)} tokens/s."


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
