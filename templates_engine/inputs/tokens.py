"""The words of an input string: quoted strings, bare words and marks, each with its place in the text.

The text is scanned once, from left to right, and never evaluated or compiled, so its length is the only cost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKS = "{}()[],:="
SINGLE = "'‘’‚‛′`´"
DOUBLE = '"“”„‟″«»'
DEEPEST = 20  # brackets within brackets; a command has two
MOST_TOKENS = 64 * 1024
MOST_OPEN = 20  # quotes that are never closed: each is looked for to the end of the text
_SPACE = re.compile(r"\s+")
_WORD = re.compile(rf"[^\s{re.escape(MARKS + SINGLE + DOUBLE)}]+")
_WRAP = re.compile(r"(?<![ \t])[ \t]*+(?:\r\n|\r|\n)\s*")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|\r\n|.)", re.DOTALL)
_INSIDE = {  # what stands between quotes: anything but a closing one, or anything after a backslash
    closing: re.compile(rf"[^\\{closing}]*+(?:\\.[^\\{closing}]*+)*+", re.DOTALL)
    for closing in ("'", '"', SINGLE, DOUBLE)
}
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": "", "\r\n": ""}


@dataclass(frozen=True)
class Token:
    kind: str  # a mark itself, "string", "word", "open" (a quote never closed), "deep" or "many" (too much), or "end"
    value: str
    start: int
    end: int


def tokens(text: str, start: int = 0, alike: bool = False) -> list[Token]:
    """The tokens of a text from `start`, closed by one of kind "end".

    A string opened by a straight quote ends at the same; one opened by a curly quote at any of its family, since word
    processors turn one of a pair and not the other. With `alike`, all quotes of a family are the same.
    """
    found: list[Token] = []
    at, depth, unclosed = start, 0, 0
    while at < len(text) and unclosed < MOST_OPEN:
        if len(found) >= MOST_TOKENS:
            found.append(Token("many", text[at], at, at + 1))
            break
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        character = text[at]
        if character in MARKS:
            found.append(Token(character, character, at, at + 1))
            depth += (character in "{[(") - (character in "}])")
            if depth > DEEPEST:
                found.append(Token("deep", character, at, at + 1))
                break
        elif character in SINGLE or character in DOUBLE:
            found.append(_string(text, at, alike))
            unclosed += found[-1].kind == "open"
        else:
            word = _WORD.match(text, at)
            end = word.end() if word else at + 1
            value = text[at:end]
            if value in ("u", "U", "r", "b") and end < len(text) and text[end] in SINGLE + DOUBLE:
                at = end  # u'school', as Python 2 prints it
                continue
            found.append(Token("word", re.sub(r"\\(?=[^\w\s])|\\(?=_)", "", value), at, end))
        at = found[-1].end
    found.append(Token("end", "", len(text), len(text)))
    return found


def _string(text: str, start: int, alike: bool) -> Token:
    family = SINGLE if text[start] in SINGLE else DOUBLE
    closing = family if alike or text[start] not in "'\"" else text[start]
    inside = _INSIDE[closing].match(text, start + 1)
    at = inside.end() if inside else start + 1
    if at < len(text) and text[at] in closing:
        return Token("string", _plain(text[start + 1 : at]), start, at + 1)
    return Token("open", text[start], start, start + 1)


def _plain(raw: str) -> str:
    """The text of a string: a line broken by the page it was copied from is joined, escapes are undone."""
    if "\n" in raw or "\r" in raw:
        raw = re.sub(r"\\(\r\n|\r|\n)", "", raw)
        raw = _WRAP.sub(" ", raw)
    return _ESCAPE.sub(_unescape, raw) if "\\" in raw else raw


def _unescape(found: re.Match[str]) -> str:
    code = found.group(1)
    if len(code) > 1 and code[0] in "xuU":
        number = int(code[1:], 16)
        return chr(number) if number <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
    return _LETTERS.get(code, code)  # an unknown one stands for itself: "bin1\_3" is copied from formatted text
