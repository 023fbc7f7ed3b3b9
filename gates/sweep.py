"""A tuning sweep as values: the grid of settings, one workload, figures of each point, the best one. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from engines.launch.profile import InvalidProfile, Profile, check, digest
from engines.launch.settings import BY_NAME, Form, Value
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Mode, Objectives, Policy, Step, Workload
from gates.rules import NANOSECONDS, e2e, failures_allowed, measured, ttft
from gates.stats import nearest_rank

MOST_POINTS = 64
SWITCHES = {"on": True, "off": False}

Grid = Sequence[tuple[str, tuple[Value, ...]]]


class InvalidSweep(ValueError):
    """The sweep cannot be run; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """So many requests are kept under way for `seconds`, and until `requests` were answered, at most `cap_seconds`.

    Each point gets the same prompts in the same order.
    """

    grid: Grid
    concurrency: int = 16
    seconds: float = 15.0
    requests: int = 60
    cap_seconds: float = 120.0
    ready_seconds: float = 300.0
    seed: int = 1
    workload: Workload = field(default_factory=lambda: Workload(source="synthetic", input_tokens=64, output_tokens=32))
    objectives: Objectives = field(default_factory=Objectives)

    @property
    def policy(self) -> Policy:
        step = Step(
            levels=(self.concurrency,), level_seconds=self.seconds, level_completions=self.requests,
            level_cap_seconds=max(self.cap_seconds, self.seconds),
        )  # fmt: skip
        return Policy(
            name="sweep", step=step, spike=None, soak=None, objectives=self.objectives, workload=self.workload,
            mode=Mode.DIAGNOSE, warm_up_requests=min(8, self.concurrency), warm_up_seconds=60,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One set of settings, measured. Times in seconds, rates per second; None where nothing was measured.

    `words` say why a point has no figures. `doubts` are what the load generator held against its own figures.
    """

    settings: Mapping[str, Value]
    digest: str = ""
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    answers: float | None = None
    tokens: float | None = None
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    e2e_p50: float | None = None
    e2e_p95: float | None = None
    tpot_p50: float | None = None
    words: str = ""
    doubts: tuple[str, ...] = ()


def parse_grid(texts: Iterable[str]) -> Grid:
    """`max_num_seqs=4,8,16` and the like; each name once. Raises InvalidSweep."""
    grid: list[tuple[str, tuple[Value, ...]]] = []
    for text in texts:
        name, _, values = text.partition("=")
        name = name.strip()
        if name not in BY_NAME:
            raise InvalidSweep(f"There is no setting {name or 'without a name'}. There are: {', '.join(BY_NAME)}.")
        found = tuple(dict.fromkeys(_value(name, one.strip()) for one in values.split(",") if one.strip()))
        if not found or name in dict(grid):
            raise InvalidSweep(f"{name}: give its values once, like {name}=4,8,16.")
        grid.append((name, found))
    if not grid:
        raise InvalidSweep("A sweep needs a grid, like max_num_seqs=4,8,16.")
    return tuple(grid)


def combinations(profile: Profile, grid: Grid) -> list[Profile]:
    """Every profile of the grid; the first setting varies slowest. Raises InvalidSweep."""
    names = [name for name, _ in grid]
    count = math.prod(len(values) for _, values in grid)
    if count > MOST_POINTS:
        raise InvalidSweep(f"The grid has {count} points, at most {MOST_POINTS}.")
    found = []
    for values in product(*(values for _, values in grid)):
        settings = {**profile.settings, **dict(zip(names, values, strict=True))}
        made = Profile(kind=profile.kind, model=profile.model, settings=settings)
        try:
            check(made)
        except InvalidProfile as invalid:
            raise InvalidSweep(f"{described(made.settings, names)}: {invalid}") from invalid
        found.append(made)
    return found


def described(settings: Mapping[str, Value], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={_shown(settings[name])}" for name in names)


def measured_point(
    profile: Profile, grid: Grid, samples: Iterable[Sample], seconds: float, doubts: Sequence[str]
) -> Point:
    """Rates count what ended within the `seconds`; latencies count every request, a failure as infinitely late."""
    counted = measured(samples)
    ended = [one for one in counted if one.outcome == SampleOutcome.OK and (one.end_ns or 0) <= seconds * NANOSECONDS]
    long = seconds > 0 and bool(counted)
    return Point(
        settings=of_grid(profile, grid),
        digest=digest(profile),
        requests=len(counted),
        failed=sum(one.failed for one in counted),
        seconds=seconds,
        answers=len(ended) / seconds if long else None,
        tokens=sum(one.output_tokens or 0 for one in ended) / seconds if long else None,
        ttft_p50=_rank([ttft(one) for one in counted], 0.5),
        ttft_p95=_rank([ttft(one) for one in counted], 0.95),
        e2e_p50=_rank([e2e(one) for one in counted], 0.5),
        e2e_p95=_rank([e2e(one) for one in counted], 0.95),
        tpot_p50=_rank([value for one in counted if (value := tpot(one)) is not None], 0.5),
        words="" if counted else "Nothing was measured.",
        doubts=tuple(doubts),
    )


def not_measured(profile: Profile, grid: Grid, words: str) -> Point:
    return Point(settings=of_grid(profile, grid), digest=digest(profile), words=words)


def of_grid(profile: Profile, grid: Grid) -> dict[str, Value]:
    return {name: profile.settings[name] for name, _ in grid}


def tpot(sample: Sample) -> float | None:
    """(last − first content) / (output tokens − 1)."""
    first, last, tokens = sample.first_token_ns, sample.last_token_ns, sample.output_tokens
    if sample.outcome != SampleOutcome.OK or first is None or last is None or tokens is None or tokens < 2:
        return None
    return (last - first) / NANOSECONDS / (tokens - 1)


def misses(point: Point, objectives: Objectives) -> list[str]:
    """The objectives that a point does not keep, in words; what was not measured keeps none."""
    found = []
    for name, value, limit in (
        ("TTFT P95", point.ttft_p95, objectives.ttft_p95),
        ("E2E P95", point.e2e_p95, objectives.e2e_p95),
    ):
        if value is None or value > limit:
            found.append(f"{name} {'—' if value is None else f'{value:.3g} s'}, limit {limit:g} s")
    if point.failed > failures_allowed(point.requests, objectives.error_rate):
        found.append(f"{point.failed} of {point.requests} failed")
    return found


def best(points: Sequence[Point], objectives: Objectives) -> int | None:
    """Place of the point with the most output tokens a second among those that keep the objectives."""
    good = [i for i, point in enumerate(points) if point.tokens is not None and not misses(point, objectives)]
    return max(good, key=lambda i: (points[i].tokens or 0.0, -i), default=None)


def to_json(point: Point) -> dict[str, Any]:
    return {**asdict(point), "settings": dict(point.settings), "doubts": list(point.doubts)}


def from_json(body: Mapping[str, Any]) -> Point:
    return Point(**{**body, "doubts": tuple(body["doubts"])})


def options_to_json(options: Options) -> dict[str, Any]:
    return {**asdict(options), "grid": [[name, list(values)] for name, values in options.grid]}


def options_from_json(body: Mapping[str, Any]) -> Options:
    return Options(
        **{
            **body,
            "grid": tuple((name, tuple(values)) for name, values in body["grid"]),
            "workload": Workload(**{**body["workload"], "lines": tuple(body["workload"]["lines"])}),
            "objectives": Objectives(**body["objectives"]),
        }
    )


def _rank(values: Sequence[float], share: float) -> float | None:
    found = nearest_rank(values, share) if values else math.inf
    return found if math.isfinite(found) else None


def _value(name: str, text: str) -> Value:
    form = BY_NAME[name].form
    try:
        if form is Form.SWITCH:
            return SWITCHES[text]
        if form is Form.WHOLE:
            return int(text)
        return float(text) if form is Form.SHARE else text
    except (KeyError, ValueError):
        kind = {Form.SWITCH: "on or off", Form.WHOLE: "a whole number"}.get(form, "a number")
        raise InvalidSweep(f"{name}: {text} is not {kind}.") from None


def _shown(value: Value) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
