"""Small pieces of HTML that the sections of a report share. Everything that comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from gates.wording import number

ICONS = {"passed": "✓", "failed": "✕", "better": "▲", "worse": "▼", "same": "=", "missed": "✕", "met": "✓"}


class Markup(str):
    """Already HTML: text that escape must leave alone."""

    __slots__ = ()


def text(value: object) -> str:
    if isinstance(value, Markup):
        return value
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(
        number(value, 3) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def state(word: str | None) -> Markup:
    """Icon and word and colour, never colour alone."""
    if word is None:
        return Markup("—")
    return Markup(f'<span class="state" data-state="{escape(word)}">{ICONS.get(word, "●")} {escape(word)}</span>')


def code(value: object) -> Markup:
    return Markup(f"<code>{text(value)}</code>")


def section(title: str, *parts: str) -> str:
    body = "".join(part for part in parts if part)
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def paragraph(value: object, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{text(value)}</p>" if value else ""


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>" if rows else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> str:
    """`numbers` are the places of columns with figures."""
    kinds = [' class="num"' if place in numbers else "" for place in range(len(columns))]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(columns, kinds, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{text(cell)}</td>' for cell, kind in zip(row, kinds, strict=True))}</tr>"
        for row in rows
    )
    if not body:
        return ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(caption: str, drawing: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"


def flat(value: Any) -> list[tuple[str, object]]:
    """A nested value as dotted names and plain values."""
    if isinstance(value, dict):
        return [
            (f"{name}.{rest}" if rest else str(name), leaf)
            for name, inner in value.items()
            for rest, leaf in flat(inner)
        ]
    if isinstance(value, list | tuple) and any(isinstance(entry, dict) for entry in value):
        return flat({str(place): entry for place, entry in enumerate(value, 1)})
    return [("", ", ".join(str(entry) for entry in value) if isinstance(value, list | tuple) else value)]
