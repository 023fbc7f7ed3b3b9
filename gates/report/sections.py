"""The sections of the HTML report, in the order in which a reader needs them; each draws one part of the document."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gates.report.drawings import charts, late
from gates.report.markup import Markup, code, facts, flat, paragraph, section, state, table, text
from gates.verdict import ObjectiveName
from gates.wording import WORD, percent, seconds

Document = Mapping[str, Any]


def verdict(document: Document) -> str:
    run, candidate, policy = document["run"], document["candidate"], document["policy"]
    number = f" v{policy['number']}" if policy["number"] else ""
    lines = [
        f"<h1>Gate run {text(str(run['id']))}: {text(candidate['target'])}</h1>",
        f'<div class="banner" data-state="{document["verdict"]}">',
        f'<p class="lede">{state(document["verdict"])} {text(document["reason"])}</p>',
        paragraph(document["what_would_change"], "muted"),
        "" if document["complete"] else paragraph("Incomplete: not every phase ran to its end."),
        "</div>",
        f'<p class="muted">{text(candidate["target_kind"])} {text(candidate["target"])} · policy '
        f"{text(policy['name'])}{number} · started {text(run['started_at'])} · by {text(run['actor'])}</p>",
        paragraph(run["note"]),
    ]
    return "".join(lines)


def candidate(document: Document) -> str:
    found = document["candidate"]
    changed = [(row["name"], row["baseline"], row["candidate"]) for row in found["changed"]]
    against = "No baseline to compare the candidate with." if found["baseline"] is None else "Nothing differs."
    return section(
        "What was tested",
        facts(flat(dict(found["fingerprint"]))),
        facts([("machine", document["run"]["machine"])]) if document["run"]["machine"] else "",
        "<h3>Against the baseline</h3>",
        table(["what", "baseline", "candidate"], changed) or paragraph(against, "muted"),
    )


def policy(document: Document) -> str:
    found = document["policy"]
    body = found["body"]
    pairs: list[tuple[str, object]] = [
        ("policy", found["name"]),
        ("version", found["number"]),
        ("written by", found["author"]),
        ("at", found["at"]),
        ("digest", code(found["digest"])),
        ("mode", body["mode"]),
    ]
    return section(
        "Policy", facts([*pairs, *flat({key: body[key] for key in ("objectives", "step", "spike", "soak")})])
    )


def objectives(document: Document) -> str:
    columns = [
        "phase",
        "objective",
        "verdict",
        "grade",
        "value",
        "limit",
        "margin",
        "n",
        "misses",
        "true share, 95 %",
        "clumping",
    ]
    rows = [
        (
            row["phase"].upper(),
            f"{WORD[ObjectiveName(row['objective'])]}, {row['scope']}",
            state(row["verdict"]),
            row["grade"],
            row["shown"],
            row["limit_shown"],
            None if row["margin"] is None else percent(row["margin"]),
            row["n"],
            row["exceedances"],
            None if row["low"] is None else f"{percent(row['low'])} to {percent(row['high'])}",
            row["design_effect"],
        )
        for row in document["objectives"]
    ]
    note = "Verdict: the rule, literally. Grade: what the sample proves about the true share of misses, 95 % one-sided."
    told = [f"<li>{text(row['sentence'])} {text(row['what_would_change'])}</li>" for row in document["objectives"]]
    words = f'<h3>In words, and what would change it</h3><ul class="words">{"".join(told)}</ul>' if told else ""
    return section("Objectives", paragraph(note, "muted"), table(columns, rows, numbers=(4, 5, 6, 7, 8, 9, 10)), words)


def generator(document: Document) -> str:
    columns = [
        "phase",
        "send lag P99",
        "max",
        "loop lag P99",
        "achieved / offered",
        "CPU of a core",
        "not sent",
        "breaches",
    ]
    rows = [
        (
            health["phase"].upper(),
            _ms(health["lag_p99"]),
            _ms(health["lag_max"]),
            _ms(health["loop_lag_p99"]),
            health["achieved_ratio"],
            None if health["cpu_share"] is None else percent(health["cpu_share"]),
            health["not_sent"],
            " ".join(health["breaches"]) or "none",
        )
        for health in document["generator"]
    ]
    missing = paragraph("The load generator left no record of its own health.")
    return section("Load generator", table(columns, rows, numbers=(1, 2, 3, 4, 5, 6)) or missing)


def phases(document: Document) -> str:
    columns = ["phase", "ran", "attempt", "planned", "measured", "outcomes", "offered/s", "served/s", "TTFT P50", "P95",
               "E2E P50", "P95", "TPOT P50"]  # fmt: skip
    rows = [
        (
            phase["phase"].upper(),
            phase["extent"],
            phase["attempt"],
            phase["planned"],
            phase["n"],
            ", ".join(f"{name} {count:,}" for name, count in (*phase["outcomes"].items(), *_statuses(phase))),
            phase["offered_qps"],
            phase["served_qps"],
            *(_time(phase[clock], share) for clock in ("ttft", "e2e") for share in ("p50", "p95")),
            _time(phase["tpot"], "p50"),
        )
        for phase in document["phases"]
    ]
    return section("Phases", table(columns, rows, numbers=(2, 3, 4, 6, 7, 8, 9, 10, 11, 12)), _levels(document))


def workload(document: Document) -> str:
    rows = [
        (phase["phase"].upper(), *_lengths(phase["input_tokens"]), *_lengths(phase["output_tokens"]),
         None if phase["cached_share"] is None else percent(phase["cached_share"]))
        for phase in document["phases"]
    ]  # fmt: skip
    columns = ["phase", "input tokens P50", "P95", "output tokens P50", "P95", "from prefix cache"]
    pairs = flat({**document["workload"], "plan digest": document["plan_digest"]})
    return section("Workload", facts(pairs), table(columns, rows, numbers=(1, 2, 3, 4, 5)))


def server(document: Document) -> str:
    return section("Server side, before and after", facts(flat(dict(document["server"]))))


def slowest(document: Document) -> str:
    columns = [
        "phase",
        "request",
        "intended at",
        "TTFT",
        "E2E",
        "outcome",
        "status",
        "input",
        "output",
        "engine",
        "error",
    ]
    rows = [
        (row["phase"].upper(), row["index"], seconds(row["intended"]), seconds(row["ttft"]), seconds(row["e2e"]),
         row["outcome"], row["status_code"], row["input_tokens"], row["output_tokens"], row["engine"], row["error"])
        for row in document["slowest"]
    ]  # fmt: skip
    return section("Slowest requests", table(columns, rows, numbers=(1, 2, 3, 4, 6, 7, 8)))


def comparisons(document: Document) -> str:
    return section("Compared with", *(_comparison(found) for found in document["comparisons"]))


def capacity(document: Document) -> str:
    return section("Capacity", facts(flat(dict(document["capacity"]))) if document["capacity"] else "")


def journal(document: Document) -> str:
    approvals = table(["at", "who", "what"], [_cells(row, ("at", "who", "what")) for row in document["approvals"]])
    events = table(["at", "kind", "what"], [_cells(row, ("at", "kind", "text")) for row in document["events"]])
    restarts = "".join(paragraph(line) for line in document["restarts"])
    return section("Journal", restarts, approvals, events)


def closing(document: Document) -> str:
    command = f"<p>{code(document['reproduce'])}</p>" if document["reproduce"] else ""
    digests = facts([(name, code(str(value))) for name, value in document["digests"].items() if value])
    return section("Reproduce", command) + section("Digests", digests)


ORDER: tuple[Callable[[Document], str], ...] = (
    verdict, candidate, policy, objectives, generator, phases, charts, workload, server, slowest, comparisons, capacity,
    journal, closing,
)  # fmt: skip


def _statuses(phase: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(f"HTTP {status}", count) for status, count in phase["status_codes"].items() if status != "200"]


def _levels(document: Document) -> str:
    rows = [
        (level["level"], seconds(level["seconds"]), level["n"], level["qps"],
         *(_time(level[clock], share) for clock in ("ttft", "e2e") for share in ("p50", "p95")))
        for phase in document["phases"]
        for level in phase["levels"]
    ]  # fmt: skip
    columns = ["concurrent", "length", "requests", "answered/s", "TTFT P50", "P95", "E2E P50", "P95"]
    note = paragraph("A closed loop offers less when the server slows: it cannot show queueing.", "muted")
    return f"<h3>Levels of STEP</h3>{note}{table(columns, rows, numbers=range(8))}" if rows else ""


def _comparison(found: Mapping[str, Any]) -> str:
    rows = [
        (
            row["phase"].upper(),
            f"{row['objective']}, {row['scope']}",
            row["a"],
            row["b"],
            row["delta"],
            state(row["word"]),
        )
        for row in found["rows"]
    ]
    unlike = "".join(paragraph(f"Differs: {line}") for line in found["differences"])
    columns = ["phase", "objective", "there", "here", "difference", "here is"]
    return f"<h3>{text(found['with'])}</h3>{unlike}{table(columns, rows, numbers=(2, 3, 4))}"


def _cells(row: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [row.get(name, "") for name in names]


def _time(spread: Mapping[str, Any], share: str) -> str | None:
    return late(spread[share], spread["n"])


def _lengths(spread: Mapping[str, Any]) -> tuple[object, object]:
    return spread["p50"], spread["p95"]


def _ms(value: float | None) -> Markup | None:
    return None if value is None else Markup(f"{value * 1000:.1f} ms")
