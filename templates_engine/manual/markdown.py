"""Markdown to HTML for the prose of manuals: CommonMark with tables, no raw HTML, and mathematics between dollars.

`$x$` becomes <span class="math inline">x</span> and `$$x$$` <span class="math display">x</span>, for KaTeX to draw.
"""

from __future__ import annotations

import html
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")
    markdown.inline.ruler.before("escape", "math", _math)
    markdown.add_render_rule("math", _math_html)
    return markdown


def to_html(text: str) -> str:
    """The HTML of a Markdown text. What looks like HTML in it is shown, not obeyed."""
    return str(_markdown().render(text))


def _math(state: StateInline, silent: bool) -> bool:
    """An inline rule: before escapes and emphasis, so that _ and \\\\ keep their meaning in mathematics."""
    source, start = state.src, state.pos
    if source[start] != "$":
        return False
    mark = "$$" if source.startswith("$$", start) else "$"
    end = source.find(mark, start + len(mark))
    inside = source[start + len(mark) : end] if end > 0 else ""
    if not inside.strip() or (mark == "$" and (inside[0].isspace() or inside[-1].isspace())):
        return False
    if not silent:
        token = state.push("math", "span", 0)
        token.content, token.markup = inside.strip(), mark
    state.pos = end + len(mark)
    return True


def _math_html(self: RendererHTML, tokens: list[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    kind = "display" if tokens[at].markup == "$$" else "inline"
    return f'<span class="math {kind}">{html.escape(tokens[at].content)}</span>'
