"""The rows of the gates app: runs, studies, releases."""

from gates.models.releases import Approval, DetectorPoint, Release, ReleasePolicyVersion, ReleaseTransition
from gates.models.runs import GateEvent, GatePhase, GatePoint, GatePolicy, GateRun, GateTransition, SampleBatch
from gates.models.studies import FailoverRun, GateStudy

__all__ = [
    "Approval",
    "DetectorPoint",
    "FailoverRun",
    "GateEvent",
    "GatePhase",
    "GatePoint",
    "GatePolicy",
    "GateRun",
    "GateStudy",
    "GateTransition",
    "Release",
    "ReleasePolicyVersion",
    "ReleaseTransition",
    "SampleBatch",
]
