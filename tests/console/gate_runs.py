"""Gate runs with samples, made by the real journal: judged, running or interrupted."""

from datetime import datetime, timedelta

from django.utils import timezone

from gates import actions, journal
from gates.judge import to_json
from gates.load.samples import Sample, SampleOutcome
from gates.models import GatePolicy, GateRun
from gates.policy import Objectives, OpenLoop, Policy
from gates.records import judged
from gates.runs import State
from gates.verdict import GeneratorHealth, PhaseEnd
from tests.console.makers import TESTER

SECONDS = 20
SMALL = Policy(
    name="small",
    step=None,
    spike=OpenLoop(rate=5, seconds=SECONDS),
    soak=None,
    objectives=Objectives(ttft_p95=1, e2e_p95=2, error_rate=0.05, qps=2, windows_met=0.5),
)


def policy(value: Policy = SMALL) -> GatePolicy:
    return actions.newest(value.name) or actions.create_policy(value.name, value, actor=TESTER, reason="for a test")


def queued(target: str = "hf-demo", **how: object) -> GateRun:
    return actions.create_run(policy(), "engine", target, actor=TESTER, hand_to_worker=False, seed=1, **how)


def sample(index: int, *, seconds: float = 0.5, failed: bool = False) -> Sample:
    at = index * 200_000_000
    end = at + int(seconds * 1e9)
    return Sample(
        index=index, phase="spike", level=None, attempt=1, intended_ns=at, sent_ns=at,
        first_token_ns=None if failed else end, end_ns=end,
        outcome=SampleOutcome.HTTP_ERROR if failed else SampleOutcome.OK, output_tokens=8,
    )  # fmt: skip


def point(t: float, **more: object) -> dict[str, object]:
    return {"t": t, "phase": "spike", "level": None, "offered": 5.0, "served": 5.0, "errors": {}, **more}


def running(
    target: str = "hf-demo", *, points: int = 5, failed: int = 0, seconds: float = 0.5, begun: datetime | None = None
) -> tuple[GateRun, int]:
    """In SPIKE with all its samples but the phase still open. The run and its fence."""
    now = begun or timezone.now() - timedelta(seconds=SECONDS)
    run = queued(target)
    fence = journal.claim(run.pk, "host:1", now)
    assert fence is not None
    journal.move(run.pk, fence, State.PREFLIGHT, State.WARMING, reason="it answers", now=now)
    journal.move(run.pk, fence, State.WARMING, State.RUNNING, reason="steady", now=now, phase="spike")
    row = journal.begin_phase(run.pk, fence, "spike", now)
    samples = [sample(index, seconds=seconds, failed=index < failed) for index in range(SMALL.spike.planned)]
    journal.append(row, run.pk, fence, samples=samples, point=None, now=now)
    for second in range(points):
        at = now + timedelta(seconds=second + 1)
        journal.append(row, run.pk, fence, samples=[], point=point(second + 1), now=at)
    GateRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() + timedelta(seconds=50))
    return GateRun.objects.get(pk=run.pk), fence


def finished(target: str = "hf-demo", *, failed: int = 0, seconds: float = 0.5) -> GateRun:
    run, fence = running(target, failed=failed, seconds=seconds)
    now = timezone.now()
    health = GeneratorHealth(
        phase="spike", lag_p99=0.001, lag_max=0.002, loop_lag_p99=0.001, achieved_ratio=1.0, cpu_share=0.1, not_sent=0
    )
    end = PhaseEnd(phase="spike", attempt=1, complete=True, seconds=SECONDS, planned=SMALL.spike.planned)
    journal.end_phase(run.phases.get(), fence, end=end, generator=health, server={}, kept=True, now=now)
    journal.move(run.pk, fence, State.RUNNING, State.COOLING, reason="it ended", now=now)
    journal.move(run.pk, fence, State.COOLING, State.JUDGING, reason="no phase is left", now=now)
    found = judged(GateRun.objects.get(pk=run.pk))
    after = State(found.verdict.value)
    journal.finish(run.pk, fence, State.JUDGING, after, reason=found.reason, now=now, judgement=to_json(found))
    return GateRun.objects.get(pk=run.pk)
