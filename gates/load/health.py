"""Was the generator itself fit to measure? Lags, CPU, clocks and pace of one phase, and the breaches in words."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Self

from gates.verdict import GeneratorHealth

PROBE_SECONDS = 0.02
LAG_P99, LAG_MAX, LOOP_LAG_P99 = 0.050, 0.500, 0.020
ACHIEVED, CPU_SHARE, CLOCK_DRIFT = 0.99, 0.70, 0.050


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was measured during one phase. Lags and times in seconds; `due` is None for a closed loop."""

    lags: Sequence[float]
    loop_lags: Sequence[float]
    due: int | None
    on_time: int
    not_sent: int
    wall: float
    monotonic: float
    cpu: float


def judge_health(phase: str, readings: Readings) -> GeneratorHealth:
    """The figures of a phase and every limit they break."""
    open_loop = readings.due is not None
    figures = GeneratorHealth(
        phase=phase,
        lag_p99=_p99(readings.lags) if open_loop else None,
        lag_max=max(readings.lags, default=None) if open_loop else None,
        loop_lag_p99=_p99(readings.loop_lags),
        achieved_ratio=readings.on_time / readings.due if readings.due else None,
        cpu_share=readings.cpu / readings.monotonic if readings.monotonic > 0 else None,
        not_sent=readings.not_sent,
        clock_drift=abs(readings.wall - readings.monotonic),
    )
    return replace(figures, breaches=tuple(breaches(figures)))


def breaches(health: GeneratorHealth) -> list[str]:
    """In words, with the figure and its limit. Empty when the generator was fit to measure."""
    found = []
    for value, limit, what in (
        (health.lag_p99, LAG_P99, "Requests left late: send lag P99"),
        (health.lag_max, LAG_MAX, "A request left late: send lag at most"),
        (health.loop_lag_p99, LOOP_LAG_P99, "The generator's loop was held up: loop lag P99"),
    ):
        if value is not None and value > limit:
            found.append(f"{what} {value * 1000:.0f} ms, limit {limit * 1000:.0f} ms.")
    if health.achieved_ratio is not None and health.achieved_ratio < ACHIEVED:
        found.append(f"Only {health.achieved_ratio:.1%} of the due requests left in time; {ACHIEVED:.0%} are needed.")
    if health.cpu_share is not None and health.cpu_share > CPU_SHARE:
        found.append(f"The generator used {health.cpu_share:.0%} of a core, limit {CPU_SHARE:.0%}.")
    if health.not_sent:
        found.append(f"{health.not_sent} requests were not sent: the cap of requests in flight was reached.")
    if health.clock_drift is not None and health.clock_drift >= CLOCK_DRIFT:
        found.append(f"The wall clock moved {health.clock_drift * 1000:.0f} ms against the monotonic clock.")
    return found


@dataclass(slots=True)
class Gauge:
    """Collects the readings while a phase runs: `async with Gauge() as gauge`."""

    lags: list[float] = field(default_factory=list)
    not_sent: int = 0
    _loop_lags: list[float] = field(default_factory=list)
    _wall: float = 0.0
    _monotonic: float = 0.0
    _cpu: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._wall, self._monotonic, self._cpu = time.time(), time.monotonic(), time.process_time()
        self._probe(None)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def read(self, *, due: int | None, on_time: int = 0) -> Readings:
        return Readings(
            lags=self.lags,
            loop_lags=self._loop_lags,
            due=due,
            on_time=on_time,
            not_sent=self.not_sent,
            wall=time.time() - self._wall,
            monotonic=time.monotonic() - self._monotonic,
            cpu=time.process_time() - self._cpu,
        )

    def _probe(self, due: float | None) -> None:
        now = time.monotonic()
        if due is not None:
            self._loop_lags.append(max(0.0, now - due))
        self._timer = asyncio.get_running_loop().call_later(PROBE_SECONDS, self._probe, now + PROBE_SECONDS)


def _p99(values: Sequence[float]) -> float | None:
    """Nearest rank."""
    return sorted(values)[ceil(0.99 * len(values)) - 1] if values else None
