"""The report in its forms: every one says the same, stays whole on its own, and cannot be broken by its content."""

import json
import re
from xml.etree import ElementTree as Xml

import pytest

from gates.compare import compare
from gates.policy import Policy
from gates.report import document, html, junit, markdown
from gates.verdict import Judgement, Verdict
from tests.gates.judging import POLICY, SPIKE_ONLY, end, healthy, judged, open_loop, step

LATE = open_loop("spike", 300, slow=range(20))


def facts(policy: Policy = SPIKE_ONLY, **fields: object) -> document.RunFacts:
    return document.RunFacts(**{"run": 7, "target_kind": "engine", "target": "hf-demo", "policy": policy, **fields})


def parsed(text: str) -> Xml.Element:
    return Xml.fromstring(text)  # noqa: S314 - our own output


def built(judgement: Judgement | None = None, **fields: object) -> dict[str, object]:
    return document.build(facts(**fields), judgement or judged(LATE, SPIKE_ONLY), LATE)


def whole() -> dict[str, object]:
    samples = step() + open_loop("spike", 300) + open_loop("soak", 3600, slow=range(30), broken=(400,))
    run = judged(samples, POLICY)
    return document.build(facts(POLICY, comparisons=[("run 6", compare(run, samples, run, samples))]), run, samples)


def test_the_document_is_plain_json_and_holds_what_the_contract_names() -> None:
    body = json.loads(json.dumps(whole(), allow_nan=False))
    assert {"verdict", "reason", "policy", "plan_digest", "objectives"} <= body.keys()
    names = {"phase", "objective", "value", "limit", "n", "exceedances", "verdict", "grade"}
    assert all(names <= row.keys() for row in body["objectives"])
    assert {row["objective"] for row in body["objectives"]} == {
        "ttft_p95", "e2e_p95", "error_rate", "qps", "windows_met"}  # fmt: skip
    assert (body["complete"], len(body["windows"]), len(body["slowest"])) == (True, 30, 20)


def test_an_infinite_percentile_is_null_and_shown_as_over_the_limit() -> None:
    samples = open_loop("spike", 300, broken=range(30))
    body = document.build(facts(), judged(samples, SPIKE_ONLY), samples)
    row = body["objectives"][0]
    assert (row["value"], row["shown"], row["limit_shown"]) == (None, "> 7 s", "≤ 7 s")


def test_a_stopped_phase_prints_only_that_the_limit_was_passed() -> None:
    samples = open_loop("spike", 30, slow=range(16))
    run = judged(samples, SPIKE_ONLY, phases=[end("spike", 300, complete=False, curtailed="ttft_p95")])
    body = document.build(facts(), run, samples)
    assert [row["shown"] for row in body["objectives"]] == ["> 7 s", "—", "—"]


def test_a_run_without_any_sample_still_has_a_report() -> None:
    body = document.build(facts(POLICY), judged([], POLICY, phases=[], generator=[]), [])
    assert (body["verdict"], body["complete"]) == ("invalid", False)
    assert "Incomplete" in html.render(body)
    assert "**Incomplete:**" in markdown.render(body)
    parsed(junit.render(body))


def test_the_baseline_is_compared_field_by_field() -> None:
    body = built(fingerprint={"version": "2", "kind": "x"}, baseline_fingerprint={"version": "1", "kind": "x"})
    assert body["candidate"]["changed"] == [{"name": "version", "baseline": "1", "candidate": "2"}]


def test_the_page_fetches_nothing_runs_nothing_and_escapes_what_people_wrote() -> None:
    page = html.render(built(note="<script>alert(1)</script>", target="<b>x", fingerprint={"a": {"b": "<i>"}}))
    assert not re.search(r"<script|<b>|<i>|<link|\bsrc=|url\(|@import|\bstyle=\"|javascript:", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "light-dark(" in page
    assert "@media print" in page


def test_the_page_draws_each_phase_with_its_limit_and_the_windows() -> None:
    page = html.render(whole())
    assert page.count(">limit 7 s</text>") == 3
    assert page.count("95 % by 7 s</text>") == 3
    assert "29 of 30 windows met" in page
    assert "SOAK: TTFT of 3599 answers, 30 over the limit of 7 s, 1 failed" in page
    assert "needs 1.8/s" in page
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert len(drawings) == 22
    for drawing in drawings:
        parsed(drawing)


def test_the_markdown_fits_in_sixty_lines_and_shows_failures_first() -> None:
    body = whole()
    body["objectives"] = [dict(row, verdict="passed") for row in body["objectives"] * 6]
    body["objectives"][-1]["verdict"] = "failed"
    lines = markdown.render(body).splitlines()
    assert len(lines) <= 60
    rows = [line for line in lines if line.startswith(("| STEP", "| SPIKE", "| SOAK"))]
    assert "| failed |" in rows[0]
    assert any("more in the full report" in line for line in lines)


def test_the_markdown_cannot_be_broken_by_a_name() -> None:
    text = markdown.render(built(target="a|b\n# c <img> @team"))
    assert "a\\|b # c \\<img> \\@team" in text.splitlines()[0]


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        (judged(LATE, SPIKE_ONLY), ("1", "0", "0")),
        (judged(LATE, SPIKE_ONLY, generator=[healthy("spike", ("lag",))]), ("0", "4", "0")),
        (judged(LATE, SPIKE_ONLY, phases=[end("spike", 300, complete=False)]), ("0", "3", "0")),
        (judged(LATE, SPIKE_ONLY, phases=[end("spike", 300, complete=False, curtailed="ttft_p95")]), ("1", "0", "2")),
        (judged(LATE, SPIKE_ONLY, ended=Verdict.CANCELLED), ("1", "1", "0")),
    ],
)
def test_only_what_passed_is_green_in_junit(judgement: Judgement, expected: tuple[str, str, str]) -> None:
    root = parsed(junit.render(built(judgement)))
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == expected


def test_junit_has_a_suite_per_phase_and_a_case_per_objective() -> None:
    root = parsed(junit.render(whole()))
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("step", "6"), ("spike", "3"), ("soak", "5")]
    failure = parsed(junit.render(built())).find(".//failure")
    assert failure is not None
    assert failure.get("type") == "slo"
    assert "20 of 300 over the limit, 15 allowed" in (failure.get("message") or "")
