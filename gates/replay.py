"""The shape of recorded traffic of a route: when requests came and how long they were, without any text."""

from gates.load.workload import Shape
from routing.models import OutcomeRecord
from routing.outcomes import Source

MOST = 5000


def shape_of(route: str) -> Shape:
    """The newest requests of clients whose lengths are known, oldest first; offsets in seconds from the first."""
    rows = OutcomeRecord.objects.filter(route=route, source=Source.CLIENT.value).order_by("-assigned_at")[:MOST]
    bodies = [row.body for row in reversed(rows)]
    known = [body for body in bodies if body.get("input_tokens") and body.get("output_tokens")]
    if not known:
        return ()
    start = known[0]["assigned_at"]
    return tuple((body["assigned_at"] - start, body["input_tokens"], body["output_tokens"]) for body in known)
