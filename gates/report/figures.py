"""The figures and chart series of each phase that a report shows beside the judged objectives. Pure."""

from collections import Counter
from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

from gates.extent import Measured
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Phase
from gates.rules import NANOSECONDS, e2e, ttft
from gates.stats import nearest_rank

SLOWEST = 20
BINS = 60


def of_phase(part: Measured) -> dict[str, Any]:
    """None where nothing was measured; an infinite percentile is None with n > 0, as in the objectives."""
    counted, ok = part.counted, [sample for sample in part.counted if sample.outcome == SampleOutcome.OK]
    open_loop = part.phase != Phase.STEP
    return {
        "phase": part.phase.value,
        "extent": part.extent.value,
        "why": part.why,
        "seconds": part.seconds,
        "planned": part.planned if open_loop else None,
        "n": len(counted),
        "offered_qps": part.planned / part.seconds if open_loop and part.seconds else None,
        "served_qps": len(ok) / part.seconds if open_loop and part.whole and part.seconds else None,
        "outcomes": dict(sorted(Counter(sample.outcome.value for sample in part.samples).items())),
        "status_codes": dict(sorted(Counter(str(s.status_code) for s in counted if s.status_code).items())),
        "ttft": spread([ttft(sample) for sample in counted]),
        "e2e": spread([e2e(sample) for sample in counted]),
        "tpot": spread([value for value in map(tpot, ok) if value is not None]),
        "input_tokens": spread([sample.input_tokens for sample in ok if sample.input_tokens is not None]),
        "output_tokens": spread([sample.output_tokens for sample in ok if sample.output_tokens is not None]),
        "cached_share": cached_share(ok),
        "levels": [level(part, number, length) for number, length in part.level_seconds],
    }


def level(part: Measured, number: int, length: float) -> dict[str, Any]:
    own = part.level(number)
    ok = sum(sample.outcome == SampleOutcome.OK for sample in own)
    return {
        "level": number,
        "seconds": length,
        "n": len(own),
        "qps": ok / length if length > 0 else None,
        "ttft": spread([ttft(sample) for sample in own]),
        "e2e": spread([e2e(sample) for sample in own]),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Nearest-rank percentiles; failures count as infinite and show as None."""
    if not values:
        return {"n": 0, "p50": None, "p95": None, "max": None}
    found = {"p50": nearest_rank(values, 0.5), "p95": nearest_rank(values, 0.95), "max": max(values)}
    return {"n": len(values), **{name: value if isfinite(value) else None for name, value in found.items()}}


def tpot(sample: Sample) -> float | None:
    """Seconds per token after the first; undefined for an answer of at most one."""
    first, last, tokens = sample.first_token_ns, sample.last_token_ns, sample.output_tokens or 0
    return None if first is None or last is None or tokens <= 1 else (last - first) / NANOSECONDS / (tokens - 1)


def cached_share(samples: Sequence[Sample]) -> float | None:
    """Input tokens that the engine said came from its prefix cache; None when it never says."""
    told = [sample for sample in samples if sample.cached_tokens is not None and sample.input_tokens]
    total = sum(sample.input_tokens or 0 for sample in told)
    return sum(sample.cached_tokens or 0 for sample in told) / total if total else None


def chart(part: Measured) -> dict[str, Any]:
    """Points are [seconds, TTFT, E2E, outcome]; rates are [seconds, offered/s, served/s], served by arrival."""
    length = max(part.seconds, max((sample.intended_ns / NANOSECONDS for sample in part.counted), default=0.0), 1.0)
    width = max(1, ceil(length / BINS))
    offered, served = Counter[int](), Counter[int]()
    for sample in part.counted:
        place = int(sample.intended_ns / NANOSECONDS // width)
        offered[place] += 1
        served[place] += sample.outcome == SampleOutcome.OK
    bins = range(ceil(length / width))
    return {
        "phase": part.phase.value,
        "seconds": length,
        "bin_seconds": width,
        "rates": [[at * width, offered[at] / width, served[at] / width] for at in bins],
        "in_flight": in_flight(part.counted, [at * width for at in bins]),
        "points": [_point(sample) for sample in part.counted],
        "failures": sorted(sample.intended_ns / NANOSECONDS for sample in part.counted if sample.failed),
    }


def in_flight(samples: Sequence[Sample], times: Sequence[int]) -> list[list[int]]:
    moves = [(sample.sent_ns, 1) for sample in samples if sample.sent_ns is not None and sample.end_ns is not None]
    moves += [(sample.end_ns, -1) for sample in samples if sample.sent_ns is not None and sample.end_ns is not None]
    moves.sort()
    found, open_now, at = [], 0, 0
    for time in times:
        while at < len(moves) and moves[at][0] <= time * NANOSECONDS:
            open_now, at = open_now + moves[at][1], at + 1
        found.append([time, open_now])
    return found


def slowest(parts: Sequence[Measured]) -> list[dict[str, Any]]:
    """Failures first, then by the time to the end."""
    everyone = [sample for part in parts for sample in part.counted]
    everyone.sort(key=lambda sample: (-e2e(sample), -ttft(sample), sample.phase, sample.index))
    return [
        {
            "phase": sample.phase,
            "level": sample.level,
            "index": sample.index,
            "intended": sample.intended_ns / NANOSECONDS,
            "ttft": _finite(ttft(sample)),
            "e2e": _finite(e2e(sample)),
            "outcome": sample.outcome.value,
            "status_code": sample.status_code,
            "input_tokens": sample.input_tokens,
            "output_tokens": sample.output_tokens,
            "engine": sample.engine,
            "error": sample.error,
        }
        for sample in everyone[:SLOWEST]
    ]


def _point(sample: Sample) -> list[Any]:
    first, last = _finite(ttft(sample)), _finite(e2e(sample))
    return [
        round(sample.intended_ns / NANOSECONDS, 3),
        None if first is None else round(first, 4),
        None if last is None else round(last, 4),
        sample.outcome.value,
    ]


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
