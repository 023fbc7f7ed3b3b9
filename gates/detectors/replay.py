"""What other settings would have made of a recorded release. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from gates.detectors.bank import Alarm, Bank
from gates.detectors.events import Event, Objective
from gates.detectors.settings import DetectorSettings


@dataclass(frozen=True, slots=True)
class Replay:
    """`alarm` and `at` (Unix seconds of the request that raised it) are None where nothing would have happened."""

    events: int
    canary: int
    alarm: Alarm | None
    objective: Objective | None
    at: float | None


def replay(events: Iterable[Event], settings: DetectorSettings) -> Replay:
    """The first alarm ends it, as it would have ended the release; a sample-ratio alarm only pauses."""
    bank, number = Bank(settings), 0
    for event in events:
        bank.see(event)
        number += 1
        found = bank.alarm()
        if found is not None and found[0] is not Alarm.RATIO:
            return Replay(number, bank.canary_requests(), found[0], found[1], event.assigned_at)
    return Replay(number, bank.canary_requests(), None, None, None)
