"""An engine's answer as HTML that is safe to put into a page: no raw HTML, no images, nothing to click."""

from collections.abc import MutableMapping, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

TAGS = {
    "p", "br", "hr", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"ol": {"start"}, "pre": {"tabindex"}}
MAX_CHARACTERS = 100_000


class Renderer(RendererHTML):
    """Shows where a link leads instead of linking, and says that an image was left out: an address may carry data."""

    def link_open(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return ""

    def link_close(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        opened = next(token for token in reversed(tokens[:index]) if token.type == "link_open")
        if opened.info == "auto":
            return ""
        return f" <code>{nh3.clean_text(str(opened.attrs.get('href', '')))}</code>"

    def image(self, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]) -> str:
        words = self.renderInlineAsText(tokens[index].children, options, env)
        return f"[image not loaded: {nh3.clean_text(words)}]"

    def heading_open(self, *_: object) -> str:
        return "<p><strong>"

    def heading_close(self, *_: object) -> str:
        return "</strong></p>"

    def fence(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return f'<pre tabindex="0"><code>{nh3.clean_text(tokens[index].content)}</code></pre>'

    def code_block(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return self.fence(tokens, index)


PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=Renderer).enable("table")


def render(text: str) -> str:
    """Sanitised HTML. An answer too long to parse is shown as it came."""
    if len(text) > MAX_CHARACTERS:
        return f'<pre tabindex="0">{nh3.clean_text(text)}</pre>'
    return nh3.clean(PARSER.render(text), tags=TAGS, attributes=ATTRIBUTES)
