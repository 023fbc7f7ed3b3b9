"""What the page of one release is made of: its head, timeline, bars of evidence, shares and journal."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from console import numbers
from console.permissions import Capability, may
from engines.models import Engine
from gates.approval_evidence import capacity, items
from gates.approvals import open_approval
from gates.detectors.events import Objective
from gates.models import Release
from gates.release_evidence import policy_of
from gates.release_policy import ReleasePolicy, Stage
from gates.releases import TERMINAL, WALKING, State
from routing.models import Route
from routing.publish import members_from_json
from routing.table import Role

TONES = {
    State.DRAFT: "idle", State.GATING: "run", State.HELD: "warn", State.AWAITING_APPROVAL: "hold",
    State.APPROVED: "run", State.SHIFTING: "run", State.BAKING: "run", State.PAUSED: "hold",
    State.ROLLING_BACK: "fail", State.ROLLED_BACK: "fail", State.PROMOTED: "ok", State.FINAL: "ok",
    State.REJECTED: "idle", State.ABORTED: "idle", State.EXPIRED: "idle", State.SUPERSEDED: "idle",
}  # fmt: skip
NAMES = {Objective.ERRORS: "errors", Objective.TTFT: "TTFT over its limit", Objective.E2E: "E2E over its limit"}
SPAN = 4.0  # log10 from −1 to 3, as wide as the bar
LEFT = -1.0


@dataclass(frozen=True, slots=True)
class Node:
    """One place of the timeline. `tone` is that of a status; `big` is a per cent or empty."""

    tone: str
    title: str
    big: str = ""
    lines: tuple[str, ...] = ()
    current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One e-value on its way to the line; places in per cent of the width."""

    name: str
    tone: str
    word: str
    log10: float
    line: float
    x: float
    width: float
    line_x: float
    canary: str
    other: str
    cohort: str


def word(release: Release) -> str:
    text = release.state.replace("_", " ").capitalize()
    if release.state == State.PAUSED:
        return f"Paused: {release.pause.replace('_', ' ')}"
    if release.state in {State.SHIFTING, State.APPROVED}:
        return f"{text} {release.target} %"
    return f"{text} {release.stage} %" if release.state == State.BAKING else text


def tone(release: Release) -> str:
    return TONES[State(release.state)]


def context(request: HttpRequest, release: Release, now: datetime) -> dict[str, Any]:
    policy, approval = policy_of(release), open_approval(release)
    return {
        "release": release,
        "policy": policy,
        "word": word(release),
        "tone": tone(release),
        "over": release.state in TERMINAL,
        "weighted": release.stage > 0 or release.state == State.SHIFTING,
        "nodes": timeline(release, policy, now),
        "blame": bars(release, "blame"),
        "protect": bars(release, "protect"),
        "drift": bars(release, "drift") if release.stage == 100 else [],
        "ratio": release.detectors.get("ratio"),
        "shares": shares(release),
        "capacity": capacity(release),
        "approval": approval,
        "items": items(approval, release, now) if approval else [],
        "journal": release.transitions.order_by("-pk"),
        "may": acts(request, release),
        "as_of": now,
    }


def acts(request: HttpRequest, release: Release) -> dict[str, bool]:
    """Which buttons there are: none that would be refused for the state or the person."""
    state, operate = State(release.state), may(request.user, Capability.OPERATE)
    approve = may(request.user, Capability.APPROVE)
    weighted = release.stage > 0 or state is State.SHIFTING
    return {
        "roll_back": operate and weighted and state in WALKING,
        "abort": operate and not weighted and state not in TERMINAL and state is not State.ROLLING_BACK,
        "pause": operate and state in WALKING and state is not State.PAUSED,
        "resume": operate and state is State.PAUSED,
        "rerun": operate and state is State.HELD,
        "waive": approve and state is State.HELD,
        "reject": approve and state is State.HELD,
        "retry": operate and state in {State.ROLLED_BACK, State.ABORTED, State.EXPIRED},
    }


def timeline(release: Release, policy: ReleasePolicy, now: datetime) -> list[Node]:
    nodes = [_gate_node(release)]
    for stage in policy.stages:
        nodes.append(_stage_node(release, stage, now))
    return nodes


def _gate_node(release: Release) -> Node:
    run, state = release.gate_run, State(release.state)
    if release.waiver:
        return Node("fail", "Gate waived", lines=(release.waiver["by"], release.waiver["reason"][:80]))
    if run is None:
        return Node("idle", "Gate")
    told = (f"run {run.pk}, policy {run.policy}", run.verdict or run.state)
    if state in {State.GATING, State.HELD}:
        return Node("run" if state is State.GATING else "warn", "Gate", lines=told, current=True)
    return Node("ok" if run.verdict == "passed" else "fail", f"Gate {run.verdict}", lines=told)


def _stage_node(release: Release, stage: Stage, now: datetime) -> Node:
    state, big = State(release.state), f"{stage.weight} %"
    asks = ("asks for approval",) if stage.approval else ()
    needs = (f"≥ {numbers.duration(stage.dwell_seconds)} and ≥ {stage.min_samples} requests", *asks)
    reached = max((row.stage for row in release.transitions.all()), default=0)
    if state is State.FINAL or (release.stage > stage.weight):
        return Node("ok", "Done", big)
    if release.stage == stage.weight and state not in TERMINAL:
        return Node(tone(release), word(release), big, (*_progress(release, stage, now), *asks), current=True)
    if release.target == stage.weight and state in WALKING:
        return Node(tone(release), word(release), big, needs, current=release.stage == 0)
    if state in TERMINAL and reached >= stage.weight:
        return Node("idle", "Reached, then taken back", big)
    return Node("idle", "Not started", big, needs)


def _progress(release: Release, stage: Stage, now: datetime) -> tuple[str, ...]:
    samples = int(release.observed.get("samples") or 0)
    seconds = (now - release.stage_since).total_seconds() if release.stage_since else 0.0
    dwell = f"{numbers.duration(seconds)} of ≥ {numbers.duration(stage.dwell_seconds)}"
    met = ": met" if seconds >= stage.dwell_seconds else ""
    many = ": met" if samples >= stage.min_samples else ""
    return f"{dwell}{met}", f"{samples} of ≥ {stage.min_samples} requests{many}"


def bars(release: Release, test: str) -> list[Bar]:
    counts = release.detectors.get("counts", {})
    return [
        _bar(NAMES[Objective(name)], figures, counts.get(name, {}))
        for name, figures in release.detectors.get(test, {}).items()
    ]


def _bar(name: str, figures: dict[str, float], counts: dict[str, int]) -> Bar:
    log10, line = figures["log10"], figures["line"]
    reached = figures["peak"] >= line
    near = log10 >= line / 4
    span = max(SPAN, line - LEFT + 0.3)
    zero = 100 * -LEFT / span
    x = 100 * (min(max(log10, LEFT), line + 0.3) - LEFT) / span
    tone_, word_ = ("fail", "At the line") if reached else ("warn", "Watch") if near else ("ok", "Quiet")
    return Bar(
        name=name, tone=tone_, word=word_, log10=log10, line=line, x=min(zero, x), width=max(abs(x - zero), 0.5),
        line_x=100 * (line - LEFT) / span,
        canary=_of(counts, "canary"), other=_of(counts, "baseline"), cohort=_of(counts, "cohort"),
    )  # fmt: skip


def _of(counts: dict[str, int], arm: str) -> str:
    if arm not in counts:
        return numbers.NONE
    return f"{counts[f'{arm}_bad']:,} of {counts[arm]:,}"


def shares(release: Release) -> list[dict[str, Any]]:
    """Each engine of the route with the weight in force, and what was observed of the canary."""
    route = Route.objects.filter(name=release.route).first()
    if route is None:
        return []
    slots = {engine.name: engine for engine in Engine.objects.all()}
    assigned, canary = release.observed.get("assigned"), release.observed.get("on_canary")
    rows, x = [], 0.0
    for member in members_from_json(route.current().members):
        if member.role is Role.OUT or member.engine not in slots:
            continue
        seen = _observed(assigned, canary) if member.engine == release.candidate else numbers.NONE
        rows.append({"engine": slots[member.engine], "member": member, "x": x, "observed": seen})
        x += member.weight
    return rows


def _observed(assigned: int | None, canary: int | None) -> str:
    if not assigned or canary is None:
        return numbers.NONE
    return f"{100 * canary / assigned:.1f} % of {assigned:,}"
