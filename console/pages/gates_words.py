"""How a gate run and its findings read: state word and tone, objective names, values with units. Pure."""

from collections.abc import Mapping
from typing import Any

from console import numbers
from gates.runs import State
from gates.verdict import ObjectiveName, Verdict

WORDS = {State.WARMING: "Warming up", State.CANCELLING: "Aborting"}
# Only a failed objective is red: aborted and inconclusive runs blame nobody.
TONES = {
    State.QUEUED: "idle",
    State.INTERRUPTED: "hold",
    State.CANCELLING: "hold",
    State.PASSED: "ok",
    State.FAILED: "fail",
    State.INCONCLUSIVE: "warn",
    State.INVALID: "warn",
    State.ERRORED: "warn",
    State.CANCELLED: "idle",
}
OBJECTIVES = {
    ObjectiveName.TTFT_P95: "TTFT P95",
    ObjectiveName.E2E_P95: "E2E P95",
    ObjectiveName.ERROR_RATE: "errors",
    ObjectiveName.QPS: "QPS",
    ObjectiveName.WINDOWS_MET: "windows met",
}
LATENCIES = frozenset({ObjectiveName.TTFT_P95, ObjectiveName.E2E_P95})
SHARES = frozenset({ObjectiveName.ERROR_RATE, ObjectiveName.WINDOWS_MET})
FINDING_TONES = {Verdict.PASSED.value: "ok", Verdict.FAILED.value: "fail"}
FINDING_WORDS = {Verdict.PASSED.value: "Pass", Verdict.FAILED.value: "Fail"}


def word(state: str) -> str:
    return WORDS.get(State(state), state.capitalize())


def tone(state: str) -> str:
    return TONES.get(State(state), "run")


def value(objective: str, amount: float | None, *, n: int = 1) -> str:
    """None stands for +inf where something was counted, for no data where nothing was."""
    if amount is None:
        return numbers.OVER if n and objective in LATENCIES else numbers.NONE
    if objective in LATENCIES:
        return numbers.ms(amount)
    if objective == ObjectiveName.ERROR_RATE:
        return f"{amount * 100:.2f} %"
    return numbers.percent(amount) if objective in SHARES else f"{amount:.2f}"


def limit(objective: str, amount: float) -> str:
    if objective in LATENCIES:
        return f"≤ {amount:g} s"
    if objective == ObjectiveName.ERROR_RATE:
        return f"< {amount * 100:g} %"
    return f"≥ {amount * 100:g} %" if objective in SHARES else f"≥ {amount:g}"


def margin(finding: Mapping[str, Any]) -> str:
    """In the unit of the objective, positive is good; “—” where the value is not finite."""
    objective, amount, bound = finding["objective"], finding["value"], finding["limit"]
    if amount is None:
        return numbers.NONE
    left = bound - amount if objective in LATENCIES or objective == ObjectiveName.ERROR_RATE else amount - bound
    if objective in LATENCIES:
        return signed(f"{left:+.2f} s")
    return signed(f"{left * 100:+.1f} pp" if objective in SHARES else f"{left:+.2f}")


def signed(text: str) -> str:
    return text.replace("-", "−")


def in_words(scope: str) -> str:
    """What was judged, where the objective does not say it already."""
    return "" if scope in ("", "phase", "windows") else f", {scope}"


def row(finding: Mapping[str, Any], *, ended: bool = True) -> dict[str, Any]:
    """One line of the criteria table. `ended` is False while its phase still runs: the words say “so far”."""
    verdict = finding["verdict"]
    named = FINDING_WORDS.get(verdict, word(verdict))
    shown = FINDING_TONES.get(verdict, "warn")
    scope = in_words(finding["scope"])
    settle = finding.get("what_would_change") or ""
    return {
        "phase": finding["phase"].upper(),
        "objective": f"{OBJECTIVES.get(finding['objective'], finding['objective'])}{scope}",
        "word": named if ended else f"{named} so far",
        "tone": shown if ended or shown == "fail" else "run",
        "grade": finding.get("grade") or "",
        "value": value(finding["objective"], finding["value"], n=finding["n"]),
        "limit": limit(finding["objective"], finding["limit"]),
        "margin": margin(finding),
        "n": finding["n"],
        "exceedances": finding["exceedances"],
        "counts": finding["objective"] not in (ObjectiveName.QPS, ObjectiveName.WINDOWS_MET),
        "sentence": finding.get("sentence") or "",
        "settle": settle,
        "more_needed": finding.get("more_needed"),
        "design_effect": finding.get("design_effect"),
    }
