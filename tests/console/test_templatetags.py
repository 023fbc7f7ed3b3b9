"""Markup that pages share."""

from datetime import UTC, datetime

from django.template import Context, Template

MOMENT = datetime(2026, 11, 23, 14, 32, 7, tzinfo=UTC)


def draw(source: str, **context: object) -> str:
    return Template("{% load console %}" + source).render(Context(context))


def test_a_status_is_an_icon_and_a_word() -> None:
    assert draw('{% status "warn" "Degraded" %}') == (
        '<span class="status" data-state="warn"><svg class="icon" aria-hidden="true"><use href="#i-triangle"/></svg>'
        "Degraded</span>"
    )


def test_a_time_is_machine_readable_and_names_its_zone() -> None:
    assert draw("{{ at|clock }}", at=MOMENT) == (
        '<time datetime="2026-11-23T14:32:07.000Z" title="2026-11-23 14:32:07 UTC">14:32:07</time>'
    )


def test_no_time_is_a_dash() -> None:
    assert draw("{{ at|clock }} {{ at|ago }} {{ at|stamp }}", at=None) == "— — —"


def test_the_windows_strip_counts_what_was_met() -> None:
    drawn = draw("{% windows marks %}", marks=("met", "missed", "thin"))
    assert 'aria-label="1 of 2 windows met, 1 without enough requests"' in drawn
    assert drawn.count("<rect") == 3


def test_text_from_people_is_escaped_in_every_tag() -> None:
    assert "<b>" not in draw('{% status "ok" word %}', word="<b>x</b>")
