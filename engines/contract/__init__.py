"""The contract that every engine is held to, as checks against a live one: what it does, what it refuses. No Django."""

from engines.contract.run import CAPABILITIES, run
from engines.contract.values import Finding, Outcome, findings_from_json, findings_to_json

__all__ = ["CAPABILITIES", "Finding", "Outcome", "findings_from_json", "findings_to_json", "run"]
