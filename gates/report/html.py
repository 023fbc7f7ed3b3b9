"""A report as one self-contained HTML file: no script, nothing fetched, light and dark, fit to print."""

from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from gates.report import sections

HERE = Path(__file__).parent
TOKENS = HERE.parent.parent / "static" / "css" / "tokens.css"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(document: Mapping[str, Any]) -> str:
    title = f"Gate {document['verdict']}: {document['candidate']['target']}, run {document['run']['id']}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            f"<title>{escape(title)}</title>",
            f"<style>{style()}</style>",
            "</head>",
            "<body>",
            *(section(document) for section in sections.ORDER),
            "</body>",
            "</html>",
            "",
        ]
    )


@cache
def style() -> str:
    return TOKENS.read_text() + (HERE / "report.css").read_text()
