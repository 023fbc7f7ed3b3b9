"""The judgement against an independent recount that follows the issue's words and shares no code with it."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gates.load.samples import Sample, SampleOutcome
from gates.policy import Objectives, OpenLoop, Policy
from gates.verdict import ObjectiveName
from tests.gates.judging import SECOND, finding, judged, sample

ROW = st.tuples(
    st.sampled_from(["ok"] * 12 + ["http_error", "timeout", "truncated", "cancelled_by_us"]),
    st.integers(1, 12 * SECOND),
    st.integers(0, 20 * SECOND),
    st.booleans(),
)


def built(rows: list[tuple[str, int, int, bool]]) -> list[Sample]:
    made = []
    for at, (outcome, first, rest, other) in enumerate(rows):
        times = {
            "intended_ns": at * SECOND,
            "first_token_ns": at * SECOND + first,
            "end_ns": at * SECOND + first + rest,
        }
        made.append(sample(at, "soak", outcome=SampleOutcome(outcome), **times))
        if other:
            made.append(sample(at, "soak", warmup=True, outcome=SampleOutcome.TIMEOUT))
    return made


def p95(rows: list[Sample], until: str) -> float:
    values = sorted((getattr(row, until) - row.intended_ns) / 1e9 if row.outcome == "ok" else math.inf for row in rows)
    return values[-(-95 * len(values) // 100) - 1]


def recount(samples: list[Sample], policy: Policy) -> dict[str, tuple[float | None, bool | None]]:
    """Objective → value and whether it holds (None: undecided)."""
    goal = policy.objectives
    rows = [row for row in samples if not row.warmup and row.outcome != "cancelled_by_us"]
    bad = [row for row in rows if row.outcome != "ok"]
    first, last, rate = p95(rows, "first_token_ns"), p95(rows, "end_ns"), len(bad) / len(rows)
    served = (len(rows) - len(bad)) / policy.soak.seconds
    met = missed = 0
    for start in range(0, int(policy.soak.seconds), 10):
        part = [row for row in rows if start * SECOND <= row.intended_ns < (start + 10) * SECOND]
        if len(part) >= policy.window_minimum:
            good = p95(part, "first_token_ns") <= goal.ttft_p95 and p95(part, "end_ns") <= goal.e2e_p95
            met, missed = met + good, missed + (not good)
    total = math.ceil(policy.soak.seconds / 10)
    determined = (met + missed) * 5 >= total * 4
    return {
        "ttft_p95": (None if first == math.inf else first, first <= goal.ttft_p95),
        "e2e_p95": (None if last == math.inf else last, last <= goal.e2e_p95),
        "error_rate": (rate, rate < goal.error_rate),
        "qps": (served, served >= 0.9 * goal.qps),
        "windows_met": (met / (met + missed), met / (met + missed) >= goal.windows_met) if determined else (None, None),
    }


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=90),
    limit=st.sampled_from([0.005, 0.05, 0.1, 0.25]),
    share=st.sampled_from([0.5, 0.9]),
    minimum=st.sampled_from([1, 5, 8]),
)
def test_the_judgement_agrees_with_an_independent_recount(
    rows: list[tuple[str, int, int, bool]], limit: float, share: float, minimum: int
) -> None:
    samples = built(rows)
    if all(row[0] == "cancelled_by_us" for row in rows):
        return
    policy = Policy(
        name="brute",
        step=None,
        spike=None,
        soak=OpenLoop(rate=1, seconds=len(rows)),
        objectives=Objectives(error_rate=limit, qps=1.0, windows_met=share),
        window_seconds=10,
        window_minimum=minimum,
    )
    run = judged(samples, policy)
    for name, (value, holds) in recount(samples, policy).items():
        found = finding(run, "soak", ObjectiveName(name))
        expected = "inconclusive" if holds is None else "passed" if holds else "failed"
        assert (found.value, found.verdict.value) == (value, expected), name
