"""How values look: numbers with units, times, "—" for none; icons, engine swatches, small drawings."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import numbers
from console.charts import spark as spark_path
from engines.models import Engine

register = template.Library()

STATUS_ICON = {
    "ok": "circle-check",
    "warn": "triangle",
    "fail": "octagon-x",
    "run": "circle-play",
    "hold": "circle-pause",
    "idle": "circle-dashed",
}

register.filter("number", numbers.number)
register.filter("ms", numbers.ms)
register.filter("seconds", numbers.seconds)
register.filter("duration", numbers.duration)
register.filter("rate", numbers.rate)
register.filter("percent", numbers.percent)
register.filter("score", numbers.score)
register.filter("burn", numbers.burn)


@register.filter
def tone(level: str) -> str:
    """Django's message level as the state of a toast."""
    return {"success": "ok", "warning": "warn", "error": "fail"}.get(level, "run")


@register.filter
def words(state: str) -> str:
    """A state as people read it: “awaiting approval”."""
    return state.replace("_", " ")


@register.filter
def clock(at: datetime | None) -> str:
    """A moment of the last hours as 14:32:07; the whole stamp is in its title."""
    return _time(at, "%H:%M:%S")


@register.filter
def day_clock(at: datetime | None) -> str:
    """For a column whose head says UTC."""
    return _time(at, "%Y-%m-%d %H:%M:%S")


@register.filter
def stamp(at: datetime | None) -> str:
    return _time(at, "%Y-%m-%d %H:%M:%S UTC")


@register.filter
def ago(at: datetime | None) -> str:
    """“12 s ago”, counted when the page was made."""
    return numbers.NONE if at is None else f"{numbers.duration(timezone.now() - at)} ago"


@register.filter
def seconds_since(at: datetime | None) -> timedelta | None:
    return None if at is None else timezone.now() - at


def _time(at: datetime | None, pattern: str) -> str:
    if at is None:
        return numbers.NONE
    utc = at.astimezone(timezone.get_fixed_timezone(0))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        utc.strftime(pattern),
    )


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


@register.simple_tag
def status(state: str, word: str, style: str = "") -> SafeString:
    """`state` is ok, warn, fail, run, hold or idle; `style` may be loud or large."""
    return format_html(
        '<span class="{}" data-state="{}">{}{}</span>',
        f"status {style}".strip(),
        state,
        icon(STATUS_ICON[state]),
        word,
    )


@register.inclusion_tag("components/engine_name.html")
def engine_name(engine: Engine, href: str = "") -> dict[str, Any]:
    """Its colour mark and name; with `href`, a link."""
    return {"name": engine.name, "slot": engine.slot, "href": href}


@register.inclusion_tag("components/spark.html")
def spark(values: Sequence[float | None], slot: int, label: str) -> dict[str, Any]:
    """A small line of one series; None leaves a gap. `label` names the quantity for screen readers."""
    return {"slot": slot, "label": label, **spark_path.drawing(values)}


@register.inclusion_tag("components/windows.html")
def windows(marks: Sequence[str]) -> dict[str, Any]:
    """A strip of windows, oldest first; each mark is met, missed, thin or todo."""
    width = 100 / max(len(marks), 1)
    bars = [
        {"mark": mark, "x": f"{i * width + width * 0.1:.2f}%", "width": f"{width * 0.8:.2f}%"}
        for i, mark in enumerate(marks)
    ]
    met, thin = marks.count("met"), marks.count("thin")
    return {"bars": bars, "met": met, "judged": met + marks.count("missed"), "thin": thin}
