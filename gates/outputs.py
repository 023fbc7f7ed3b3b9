"""What a run leaves to take away, from its rows: report documents, samples, signed evidence."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from gates import evidence, records, thinning
from gates.compare import Comparison, compare
from gates.judge import from_json
from gates.load.samples import to_lines
from gates.models import GateEvent, GatePhase, GateRun
from gates.policy import Policy
from gates.records import Record
from gates.report import html, junit, markdown
from gates.report.document import RunFacts, build
from gates.runs import State
from gates.verdict import Judgement, Verdict

RENDERERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "html": html.render,
    "markdown": markdown.render,
    "junit": junit.render,
}
FORMS = ("json", *RENDERERS, "samples", "evidence")
# Made from the judgement alone, so they outlast the samples.
LASTING = frozenset({"markdown", "junit", "evidence"})


def judgement_of(run: GateRun) -> Judgement:
    """As stored; for a run that was never judged what its samples show, under the verdict that it has no own end."""
    if run.judgement:
        return from_json(run.judgement)
    ended = None if run.state == State.INVALID else records.ENDED.get(State(run.state), Verdict.ERRORED)
    return records.judged(run, ended=ended, reason=run.reason)


def record_of(run: GateRun) -> Record:
    """The rows behind that judgement."""
    whole = State(run.state) in (State.PASSED, State.FAILED, State.INCONCLUSIVE, State.INVALID)
    return records.read(run, ended=None if whole else Verdict.ERRORED)


def render(run: GateRun, form: str) -> bytes:
    """One of FORMS, as the bytes of a file. Raises thinning.Gone for one that needs samples which were deleted."""
    if form not in LASTING or not run.judgement:
        thinning.require(run)
    record, judgement = record_of(run), judgement_of(run)
    if form == "samples":
        return to_lines(record.samples)
    if form == "evidence":
        facts = {"id": run.pk, "started_at": _stamp(run.started_at), "finished_at": _stamp(run.finished_at)}
        statement = evidence.statement(judgement, target=run.target, fingerprint=run.fingerprint, run=facts)
        samples = None if thinning.gone_since(run) else record.samples
        return evidence.pack(evidence.sign(statement, evidence_key()), record.policy, samples)
    document = build(facts_of(run, record.policy), judgement, record.samples)
    if form == "json":
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)
    return RENDERERS[form](document).encode()


def facts_of(run: GateRun, policy: Policy) -> RunFacts:
    phases = list(GatePhase.objects.filter(run=run).order_by("pk"))
    fingerprint = {name: value for name, value in run.fingerprint.items() if name != "replay"}
    return RunFacts(
        run=run.pk,
        target_kind=run.target_kind,
        target=run.target,
        policy=policy,
        policy_number=run.policy.number,
        policy_author=run.policy.actor_name,
        policy_at=_stamp(run.policy.at),
        actor=run.actor_name,
        note=run.note,
        seed=run.seed,
        created_at=_stamp(run.created_at),
        started_at=_stamp(run.started_at),
        finished_at=_stamp(run.finished_at),
        fingerprint=fingerprint,
        baseline_fingerprint=run.baseline.fingerprint if run.baseline else None,
        server={row.phase: row.server for row in phases if row.kept and row.server},
        restarts=[_restart(row) for row in phases if row.attempt > 1],
        events=[
            {"at": event.at.isoformat(timespec="milliseconds"), "kind": event.kind, "text": event.text}
            for event in GateEvent.objects.filter(run=run).order_by("pk")
        ],
        comparisons=_comparisons(run),
        reproduce=f"manage.py gate run --policy {policy.name} --{run.target_kind} {run.target} --seed {run.seed}",
        machine=str(run.fingerprint.get("measured_on", "")),
        key_id=evidence.key_id(evidence_key().public_key()),
        samples_gone=thinning.gone_words(run),
    )


def _restart(row: GatePhase) -> str:
    return (
        f"{row.phase.upper()} ran again as attempt {row.attempt} from {row.started_at:%Y-%m-%d %H:%M:%S} UTC: "
        "the attempt before was interrupted and is not judged."
    )


def _comparisons(run: GateRun) -> list[tuple[str, Comparison]]:
    """With the run that was named as its baseline."""
    other = run.baseline
    if other is None or not other.judgement or thinning.gone_since(other) or thinning.gone_since(run):
        return []
    found = compare(judgement_of(other), record_of(other).samples, judgement_of(run), record_of(run).samples)
    return [(f"run {other.pk} of {other.target}", found)]


def evidence_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.EVIDENCE_KEY))


def _stamp(at: Any) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
