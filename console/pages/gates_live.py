"""What the page of one run shows at this moment: state, progress, notices, and criteria so far."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console import numbers
from console.pages.gates_estimate import estimate
from console.pages.gates_words import tone, word
from gates.models import GatePoint, GateRun
from gates.policy import Policy, Step
from gates.runs import ACTIVE, OVER, RESUMABLE, VERDICTS, State

# A worker takes a message within a second.
TAKEN_UP_WITHIN = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the run itself, and what to do."""

    tone: str
    text: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The head of the page. `fields` are texts by name, refreshed each second."""

    state: str
    word: str
    tone: str
    active: bool
    abortable: bool
    resumable: bool
    trouble: Trouble | None
    fields: dict[str, str]

    @property
    def mark(self) -> str:
        """Changes when the page has to fetch more than numbers."""
        return f"{self.state}/{self.fields['phase']}"


def now_of(run: GateRun, policy: Policy, *, now: datetime) -> Now:
    state = run.state
    active = state not in OVER
    last = GatePoint.objects.filter(run=run).order_by("-pk").values_list("body", flat=True).first()
    return Now(
        state=state,
        word=word(state),
        tone=tone(state),
        active=active,
        abortable=state not in VERDICTS and run.cancel_requested_at is None,
        resumable=state in RESUMABLE,
        trouble=trouble_of(run, now=now),
        fields=fields_of(run, policy, last or {}, now=now, active=active),
    )


def fields_of(run: GateRun, policy: Policy, last: dict[str, Any], *, now: datetime, active: bool) -> dict[str, str]:
    ended = run.finished_at or now
    elapsed = (ended - run.started_at).total_seconds() if run.started_at else None
    left = max(0.0, left_seconds(run, policy, now=now)) if active and run.started_at else None
    phases = [phase.value for phase in policy.phases]
    level = f", {last['level']} in flight" if active and last.get("level") else ""
    shown = last if active else {}
    errors = sum((shown.get("errors") or {}).values())
    return {
        **_phase_fields(run, phases, level),
        "elapsed": numbers.duration(elapsed),
        "left": f"about {numbers.duration(left)} left" if left is not None else ("ended" if run.finished_at else "—"),
        "served": numbers.rate(shown.get("served")),
        "offered": f"of {numbers.rate(shown['offered'])} offered"
        if shown.get("offered") is not None
        else "no load yet",
        "in_flight": numbers.number(shown.get("in_flight")),
        "errors": f"{errors:g} failed this second" if shown else "—",
        "ttft": numbers.ms(shown.get("ttft_p95")),
        "e2e": numbers.ms(shown.get("e2e_p95")),
        "verdict": str(last.get("verdict_so_far") or "") if active else "",
    }


def _phase_fields(run: GateRun, phases: list[str], level: str) -> dict[str, str]:
    if run.phase in phases:
        return {"phase": f"{run.phase.upper()}{level}", "place": f"{phases.index(run.phase) + 1} of {len(phases)}"}
    if run.state in OVER:
        kept = run.phases.filter(kept=True).count()
        return {"phase": f"{kept} of {len(phases)}", "place": "ran to their end"}
    return {"phase": "none yet", "place": f"{len(phases)} planned"}


def left_seconds(run: GateRun, policy: Policy, *, now: datetime) -> float:
    """Of the phases to come in full, of the phase that runs the rest."""
    names = [phase.value for phase in policy.phases]
    if run.phase not in names:
        spent = (now - run.started_at).total_seconds() if run.started_at else 0.0
        return estimate(policy).typical_seconds - spent
    later = sum(_seconds(policy, name) for name in names[names.index(run.phase) + 1 :])
    current = run.phases.filter(phase=run.phase).order_by("-attempt").first()
    spent = ((current.ended_at or now) - current.started_at).total_seconds() if current else 0.0
    return later + max(0.0, _seconds(policy, run.phase) - spent)


def _seconds(policy: Policy, name: str) -> float:
    spec = getattr(policy, name)
    return len(spec.levels) * spec.level_seconds if isinstance(spec, Step) else spec.seconds


def trouble_of(run: GateRun, *, now: datetime) -> Trouble | None:
    if run.state == State.QUEUED:
        return _queue_trouble(run, now=now)
    if run.state == State.INTERRUPTED:
        reason = run.reason or "Its process fell silent."
        return Trouble("hold", reason, "Finished phases are kept; the interrupted one runs again after Resume.")
    if run.state == State.ERRORED:
        return Trouble("warn", run.reason or "The run broke.", "Resume keeps finished phases and tries again.")
    if run.state in ACTIVE and run.lease_until is not None and now - run.lease_until > timedelta(0):
        silent = f"The run has been silent since {run.lease_until:%H:%M:%S} UTC."
        return Trouble("warn", silent, "The controller sets it to interrupted within a minute; then it can be resumed.")
    return None


def _queue_trouble(run: GateRun, *, now: datetime) -> Trouble | None:
    if run.reason:
        waits = run.reason.startswith("Waits")
        return Trouble("run" if waits else "warn", run.reason, "It keeps its place; nothing has to be done here.")
    waiting = now - run.state_since
    if waiting > TAKEN_UP_WITHIN:
        said = f"No worker has taken it up for {numbers.duration(waiting)}."
        return Trouble("warn", said, "See that the worker runs; the run starts by itself once it does.")
    return None
