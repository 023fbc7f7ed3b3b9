"""The charts of the HTML report: each phase against its limits, and the windows of SOAK."""

from collections.abc import Mapping, Sequence
from typing import Any

from gates.policy import from_json
from gates.report import svg
from gates.report.markup import figure, paragraph, section, state, table
from gates.rules import failures_allowed, qps_needed
from gates.wording import seconds


def charts(document: Mapping[str, Any]) -> str:
    drawn = "".join(_charts(document, chart) for chart in document["charts"])
    return section("Charts", drawn or paragraph("Nothing was measured, so there is nothing to draw."))


def _charts(document: Mapping[str, Any], chart: Mapping[str, Any]) -> str:
    ran = from_json(document["policy"]["body"])
    goal, phase = ran.objectives, chart["phase"]
    needed = qps_needed(goal) if phase == "soak" else None
    planned = next(entry["planned"] for entry in document["phases"] if entry["phase"] == phase)
    allowed = failures_allowed(planned or len(chart["points"]), goal.error_rate)
    return "".join(
        [
            f'<h3>{phase.upper()}</h3><div class="charts">',
            figure("Requests/s by arrival: offered dashed, answered solid", svg.rates(chart, needed)),
            figure("Requests in flight", svg.in_flight(chart)),
            figure("TTFT in seconds, from the intended send", svg.scatter(chart, 1, goal.ttft_p95, "TTFT")),
            figure("E2E in seconds, from the intended send", svg.scatter(chart, 2, goal.e2e_p95, "E2E")),
            figure("Share of requests by TTFT in seconds", svg.cumulative(chart, 1, goal.ttft_p95, "TTFT")),
            figure("Share of requests by E2E in seconds", svg.cumulative(chart, 2, goal.e2e_p95, "E2E")),
            figure(f"Failures left of {max(allowed, 0)} allowed", svg.budget(chart, max(allowed, 0))),
            "</div>",
            _windows(document["windows"]) if phase == "soak" else "",
        ]
    )


def _windows(windows: Sequence[Mapping[str, Any]]) -> str:
    if not windows:
        return ""
    rows = [
        (
            f"{row['start']:g} s",
            state(row["state"]),
            row["n"],
            *(late(row[name], row["n"]) for name in ("ttft_p95", "e2e_p95")),
        )
        for row in windows
        if row["state"] != "met"
    ]
    told = table(["window at", "state", "n", "TTFT P95", "E2E P95"], rows, numbers=(2, 3, 4))
    return figure("Windows: missed ones are taller, undetermined ones dashed", svg.strip(windows)) + told


def late(value: float | None, n: int) -> str | None:
    return seconds(value) if n else None
