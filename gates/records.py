"""A stored run read back as the values that judging, reports and evidence work on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gates import policy as policies
from gates.judge import end_from_json, health_from_json, judge
from gates.load.samples import Sample, from_json
from gates.models import GatePhase, GateRun, SampleBatch
from gates.policy import Policy
from gates.runs import State
from gates.verdict import GeneratorHealth, Judgement, PhaseEnd, Verdict

ENDED = {State.CANCELLED: Verdict.CANCELLED, State.ERRORED: Verdict.ERRORED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a verdict rests on: one attempt of each phase that was run."""

    policy: Policy
    plan_digest: str
    samples: Sequence[Sample]
    phases: Sequence[PhaseEnd]
    generator: Sequence[GeneratorHealth]


def policy_of(run: GateRun) -> Policy:
    return policies.from_json(run.policy.body)


def finished(run: GateRun) -> frozenset[str]:
    """Phases that need not run again."""
    return frozenset(GatePhase.objects.filter(run=run, kept=True).values_list("phase", flat=True))


def attempts(run: GateRun, *, unfinished: bool) -> list[GatePhase]:
    """The kept attempt of each phase in the order of the policy; with `unfinished` else the last one that ended."""
    chosen: dict[str, GatePhase] = {}
    for row in GatePhase.objects.filter(run=run).order_by("kept", "attempt"):
        if row.kept or (unfinished and row.end):
            chosen[row.phase] = row
    return [chosen[phase.value] for phase in policy_of(run).phases if phase.value in chosen]


def samples_of(rows: Sequence[GatePhase]) -> list[Sample]:
    """In the order of the phases, and within each in the order of the requests."""
    found = [
        from_json(body)
        for row in rows
        for batch in SampleBatch.objects.filter(phase=row).order_by("sequence").iterator()
        for body in batch.rows
    ]
    place = {row.phase: number for number, row in enumerate(rows)}
    return sorted(found, key=lambda sample: (place[sample.phase], sample.index))


def read(run: GateRun, *, ended: Verdict | None = None) -> Record:
    rows = attempts(run, unfinished=ended is not None)
    return Record(
        policy=policy_of(run),
        plan_digest=run.plan_digest,
        samples=samples_of(rows),
        phases=[end_from_json(row.end) for row in rows],
        generator=[health_from_json(row.generator) for row in rows if row.generator],
    )


def judged(run: GateRun, *, ended: Verdict | None = None, reason: str = "") -> Judgement:
    """From the stored rows alone, now or in a year. `ended` for a run that did not reach its own end."""
    record = read(run, ended=ended)
    return judge(
        record.samples,
        record.policy,
        generator=record.generator,
        phases=record.phases,
        plan_digest=record.plan_digest,
        ended=ended,
        ended_reason=reason,
    )


def judged_early(run: GateRun, state: State, reason: str) -> Judgement | None:
    """Of a run that ends in `state` before its last phase; None when its samples cannot speak for that verdict."""
    if state in ENDED:
        return judged(run, ended=ENDED[state], reason=reason)
    found = judged(run)
    return replace(found, reason=reason) if found.verdict == state.value else None


def judged_again(run: GateRun) -> Judgement:
    """As it was judged when it ended."""
    ended = ENDED.get(State(run.state))
    return judged(run, ended=ended, reason=run.reason if ended else "")
