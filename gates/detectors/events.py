"""One decided request of a split as the detectors read it, made from its stored outcome. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from routing.outcomes import BLAMELESS, Result


class Objective(StrEnum):
    """The word of the page for each bad event."""

    ERRORS = "errors"
    TTFT = "ttft"
    E2E = "e2e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`share` is the canary's weight in force at the assignment, 0..1. `bad` holds only what applies to the request.

    `unit` is what was randomised: only its first bad event counts for blame. `bucket` places it in the control cohort.
    """

    assigned_at: float
    canary: bool
    share: float
    unit: str
    bucket: int
    bad: Mapping[Objective, bool]


def event_of(body: Mapping[str, Any], share: float) -> Event | None:
    """From the body of an outcome, judged by its first attempt on the assigned arm. None where it says nothing.

    A provisional outcome was over its E2E limit: late for certain, an error not known. A request that its client gave
    up still counts as late where it already was.
    """
    result = Result(body["result"])
    first = result if body["first_attempt"] is None else Result(body["first_attempt"])
    undecided = result is Result.UNDECIDED
    if (result in BLAMELESS or first in BLAMELESS) and not (body["ttft_late"] or body["e2e_late"]):
        return None
    failed = not undecided and first is not Result.OK and first not in BLAMELESS
    bad = {Objective.ERRORS: failed, Objective.E2E: failed or bool(body["e2e_late"])}
    if body["stream"]:
        bad[Objective.TTFT] = failed or bool(body["ttft_late"])
    bucket = int(body["sticky_bucket"] or 0)
    unit = body["request_id"] if body["sticky_unit"] == "request" else f"{body['sticky_unit']}:{bucket}"
    return Event(
        assigned_at=float(body["assigned_at"]),
        canary=bool(body["canary"]),
        share=share,
        unit=str(unit),
        bucket=bucket,
        bad=bad,
    )
