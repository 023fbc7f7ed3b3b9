"""Why the cap of requests in flight kept requests back: the engine fell silent, or answered too slowly. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gates import wording
from gates.extent import Measured
from gates.load.health import breaches
from gates.load.samples import Sample, SampleOutcome
from gates.rules import NANOSECONDS
from gates.verdict import GeneratorHealth

SILENT_SECONDS = 10.0
ITS_DOING = frozenset({SampleOutcome.OK, SampleOutcome.HTTP_ERROR, SampleOutcome.TRUNCATED, SampleOutcome.EMPTY})
# A request that ends in the very millisecond counts for one side here and for the other in the generator.
NEARLY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """At the first request that was kept back: how many were unanswered, and seconds since the engine was heard."""

    unsent: int
    unanswered: int
    oldest: float
    silent: float


def engine_words(part: Measured, health: GeneratorHealth | None) -> str:
    """Of a phase that is unusable only because the engine let requests pile up to the cap; else empty."""
    found = backlog(part)
    if found is None or not (health is None or only_held_back(health)):
        return ""
    silent = found.silent >= SILENT_SECONDS
    fault = (
        f"the engine stopped answering, nothing came from it for {found.silent:.0f} s"
        if silent
        else "the engine answered more slowly than requests arrived"
    )
    return (
        f"by no fault of the load generator: {fault}. The oldest of {found.unanswered:,} unanswered requests had "
        f"waited {found.oldest:.0f} s when the cap of requests in flight was reached; "
        f"{wording.plural(found.unsent, 'request was', 'requests were')} not sent. "
        "Raise the cap (“most in flight” in the policy) to have this judged"
        + (", or run a failover gate to see what a hang does to clients." if silent else ".")
    )


def only_held_back(health: GeneratorHealth) -> bool:
    """What was kept back is missing from the achieved rate, too; any other breach speaks against the generator."""
    return not breaches(replace(health, not_sent=0, achieved_ratio=None))


def backlog(part: Measured) -> Backlog | None:
    """None where nothing was kept back, or not by the cap."""
    unsent = [sample for sample in part.samples if sample.outcome == SampleOutcome.NOT_SENT]
    if not unsent:
        return None
    at = min(sample.intended_ns for sample in unsent)
    sent = [sample for sample in part.samples if sample.outcome != SampleOutcome.NOT_SENT and sample.intended_ns <= at]
    waiting = [sample for sample in sent if sample.end_ns is None or sample.end_ns > at]
    if len(waiting) < NEARLY * part.policy.in_flight_cap:
        return None
    begun = min(sample.intended_ns for sample in sent)
    heard = max((moment for sample in sent for moment in _signs(sample) if moment <= at), default=begun)
    oldest = min(sample.intended_ns for sample in waiting)
    return Backlog(
        unsent=len(unsent),
        unanswered=len(waiting),
        oldest=(at - oldest) / NANOSECONDS,
        silent=(at - heard) / NANOSECONDS,
    )


def _signs(sample: Sample) -> Iterator[int]:
    """Moments in which the engine was heard: a token, or an end that was its own doing."""
    ended = sample.end_ns if sample.outcome in ITS_DOING else None
    for moment in (sample.first_token_ns, sample.last_token_ns, ended):
        if moment is not None:
            yield moment
