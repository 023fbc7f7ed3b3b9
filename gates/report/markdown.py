"""A report for a pull request: at most 60 lines of Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

LINES = 60
ICON = {"passed": "✅", "failed": "❌"}


def render(document: Mapping[str, Any]) -> str:
    head = [
        f"## {ICON.get(document['verdict'], '⚠️')} Gate {document['verdict'].upper()}: {_target(document)}",
        "",
        _text(document["reason"]),
        "",
    ]
    if document["what_would_change"]:
        head += [f"**What would change it:** {_text(document['what_would_change'])}", ""]
    if not document["complete"]:
        head += ["**Incomplete:** not every phase ran to its end.", ""]
    if document["samples_gone"]:
        head += [f"**Samples gone:** {_text(document['samples_gone'])} This is what was judged.", ""]
    tail = [*_generator(document["generator"]), *_digests(document)]
    room = LINES - len(head) - len(tail)
    return "\n".join([*head, *_table(document["objectives"], room), *tail]) + "\n"


def _target(document: Mapping[str, Any]) -> str:
    policy, candidate = document["policy"], document["candidate"]
    number = f" v{policy['number']}" if policy["number"] else ""
    return _text(f"{candidate['target_kind']} {candidate['target']}, policy {policy['name']}{number}")


def _table(objectives: Sequence[Mapping[str, Any]], room: int) -> list[str]:
    """What failed comes first, so that a long table loses its least important rows."""
    order = {"failed": 0, "invalid": 1, "inconclusive": 2, "passed": 3}
    rows = sorted(objectives, key=lambda row: order[row["verdict"]])
    kept = rows if len(rows) <= room - 3 else rows[: room - 4]
    lines = [
        "| phase | objective | verdict | grade | value | limit | n | misses |",
        "|---|---|---|---|---:|---:|---:|---:|",
        *(_row(row) for row in kept),
    ]
    return [*lines, *([f"\n{len(rows) - len(kept)} more in the full report."] if len(kept) < len(rows) else [""])]


def _row(row: Mapping[str, Any]) -> str:
    cells = [
        row["phase"].upper(),
        f"{row['objective']} ({row['scope']})",
        row["verdict"],
        row["grade"] or "—",
        row["shown"],
        row["limit_shown"],
        f"{row['n']:,}",
        f"{row['exceedances']:,}",
    ]
    return f"| {' | '.join(_text(cell) for cell in cells)} |"


def _generator(healths: Sequence[Mapping[str, Any]]) -> list[str]:
    broken = [f"{health['phase'].upper()}: {breach}" for health in healths for breach in health["breaches"]]
    if broken:
        return [f"**Load generator broke its limits:** {_text('; '.join(broken))}", ""]
    return ["Load generator: within its limits." if healths else "Load generator: no record.", ""]


def _digests(document: Mapping[str, Any]) -> list[str]:
    digests = document["digests"]
    named = ", ".join(f"{name} `{digests[name][:12]}`" for name in ("policy", "plan", "samples", "judgement"))
    line = f"Run {document['run']['id']} · {named}"
    return [line, "", f"Reproduce: `{document['reproduce']}`"] if document["reproduce"] else [line]


def _text(value: str) -> str:
    """One line that cannot break out of a table cell or become markup."""
    flat = " ".join(str(value).split())
    for sign in ("\\", "|", "`", "<", "*", "_", "[", "@"):
        flat = flat.replace(sign, f"\\{sign}")
    return flat
