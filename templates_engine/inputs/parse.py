"""Reads what a user pastes: an input string {'key': 'value', ...} or a whole RunStatJR(...) command.

Forgiving where the meaning is plain (line breaks, curly quotes, bare keys and words, trailing commas, any order), exact
where it is not: every fault is told with its place. The reader is written for this small language: Python's own parser
would refuse `template=2LevelImpute`, broken lines and curly quotes, lose the spelling of numbers, and could be made to
work hard by nested brackets.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from templates_engine.inputs.tokens import DEEPEST, DOUBLE, MOST_TOKENS, SINGLE, Token, tokens
from templates_engine.problems import Problem
from templates_engine.suggest import clean, meant, nearest, quoted

MOST_CHARACTERS = 2_500_000  # an answer of a million characters, with its line breaks as \n
MOST_FAULTS = 20
ARGUMENTS = ("template", "dataset", "invars", "estoptions")
_HOLDERS = ("answers", "invars", "estoptions")  # keys whose value is a dictionary of answers
_COMMAND = re.compile(r"RunStatJR\s*\(")
_LABEL = re.compile(r"[^{}()'\"]{0,60}:\W{0,8}(?=\{)")  # "Current input string:", copied with the text

Span = tuple[int, int]


@dataclass
class Parsed:
    """What a text says, and the places in it: of values (`spans`), keys (`key_spans`) and problems (`marks`)."""

    answers: dict[str, str] = field(default_factory=dict)
    template: str | None = None
    dataset: str | None = None
    problems: list[Problem] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)
    key_spans: dict[str, Span] = field(default_factory=dict)
    marks: list[Span] = field(default_factory=list)


def read(text: str) -> Parsed:
    """The answers of an input string or RunStatJR command, with all faults found. Never raises."""
    if len(text) > MOST_CHARACTERS:
        message = f"The text has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read."
        return Parsed(problems=[Problem("too-long", message)], marks=[(0, 0)])
    command, label = _COMMAND.search(text, 0, 100), _LABEL.match(text)
    start = command.start() if command else label.end() if label else 0
    first = _Reader(text, tokens(text, start)).all()
    if any(p.level == "error" for p in first.problems) and any(c in text for c in SINGLE[1:] + DOUBLE[1:]):
        # Straight and curly quotes mixed in one pair: take all quotes as alike, if that reads better.
        second = _Reader(text, tokens(text, start, alike=True)).all()
        if len(second.problems) < len(first.problems):
            return second
    return first


class _UnreadableError(Exception):
    """What follows cannot be made sense of."""


class _Reader:
    def __init__(self, text: str, found: list[Token]):
        self.text, self.tokens, self.at = text, found, 0
        self.parsed = Parsed()

    def all(self) -> Parsed:
        with suppress(_UnreadableError):
            if self.tokens[-2:-1] and self.tokens[-2].kind == "deep":
                self.fault(f"Brackets are nested more than {DEEPEST} deep", self.tokens[-2], code="too-deep", stop=True)
            if self.tokens[-2:-1] and self.tokens[-2].kind == "many":
                self.fault(f"There are more than {MOST_TOKENS:,} words", self.tokens[-2], code="too-long", stop=True)
            self._top()
        return self.parsed

    # Helpers

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    @property
    def next(self) -> Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def step(self) -> Token:
        token = self.now
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def fault(
        self,
        message: str,
        token: Token,
        *,
        code: str = "unreadable",
        key: str = "",
        near: str = "",
        level: str = "error",
        after: str = "",
        stop: bool = False,
    ) -> None:
        line = self.text.count("\n", 0, token.start) + 1
        column = token.start - (self.text.rfind("\n", 0, token.start) + 1) + 1
        place = f" (line {line}, character {column})"
        self.parsed.problems.append(Problem(code, message + place + "." + after, key=key, nearest=near, level=level))
        self.parsed.marks.append((token.start, token.end))
        if stop or len(self.parsed.problems) >= MOST_FAULTS:
            raise _UnreadableError

    def shown(self, token: Token) -> str:
        if token.kind == "end":
            return "the text ends"
        if token.kind == "open":
            return "a quote opens that is never closed"
        return f"{quoted(self.text[token.start : token.end])} stands"

    # The language

    def _top(self) -> None:
        if self.now.kind == "end":
            example = "{'y': 'normexam', 'x': 'cons,standlrt'}"
            self.fault(
                f"There is nothing to read; an input string looks like {example}", self.now, code="empty", stop=True
            )
        if self.now.kind == "word" and self.next.kind == "(":
            self._command()
        elif self.now.kind == "{":
            self.step()
            self._answers("}", outermost=True)
        elif self.now.kind in ("string", "word") and self.next.kind == ":":
            self._answers("end", outermost=True)  # the braces were not copied
        else:
            self.fault(
                f"An input string starts with {{, and a command with RunStatJR(; here {self.shown(self.now)}",
                self.now,
                stop=True,
            )
        while self.now.kind == "word" and set(self.now.value) <= set(";."):
            self.step()
        if self.now.kind != "end":
            self.fault(f"The input string has ended, and after it {self.shown(self.now)}", self.now)

    def _command(self) -> None:
        name = self.step()
        if name.value != "RunStatJR":
            near = nearest(name.value, ["RunStatJR"])
            self.fault(
                f"A command starts with RunStatJR(, not with {quoted(name.value)}", name, near=near, stop=not near
            )
        self.step()
        seen: set[str] = set()
        position = 0
        while self.now.kind not in (")", "end"):
            if self.now.kind in ("word", "string") and self.next.kind == "=":
                token = self.step()
                argument = token.value
                self.step()
            else:
                token = self.now
                argument = ARGUMENTS[position] if position < len(ARGUMENTS) else ""
            position += 1
            if argument not in ARGUMENTS:
                near = nearest(argument, ARGUMENTS)
                self.fault(
                    f"RunStatJR has no argument {quoted(argument)}",
                    token,
                    near=near,
                    after=meant(near),
                    code="unknown-argument",
                )
            elif argument in seen:
                self.fault(f"{argument} is given twice", token, code="repeated-key", key=argument)
            seen.add(argument)
            self._argument(argument, token)
            if self.now.kind == ",":
                self.step()
            elif self.now.kind not in (")", "end"):
                self.fault(
                    f"After {argument} a comma or ) is expected, and {self.shown(self.now)}", self.now, stop=True
                )
        if self.now.kind == "end":
            self.fault("The command is not closed: ) is missing", self.now, stop=True)
        self.step()

    def _argument(self, argument: str, token: Token) -> None:
        if self.now.kind == "{":
            self.step()
            if argument in ("template", "dataset"):
                self.fault(f"{argument} is a name, and here {self.shown(self.tokens[self.at - 1])}", token, stop=True)
            self._answers("}")
            return
        value, start, end = self._words((",", ")"))
        if argument in ("invars", "estoptions"):
            self.fault(f"{argument} is a dictionary {{...}} of answers", token, key=argument)
        elif value is None:
            self.fault(f"{argument} has no value, and {self.shown(self.now)}", self.now, key=argument, stop=True)
        elif argument == "template":
            self.parsed.template, self.parsed.spans["template"] = value, (start, end)
        elif argument == "dataset":
            self.parsed.dataset, self.parsed.spans["dataset"] = value, (start, end)

    def _answers(self, closing: str, outermost: bool = False) -> None:
        """Pairs up to the closing brace, which is taken too."""
        while True:
            if self.now.kind == closing:
                self.step()
                return
            if self.now.kind == ",":
                self.step()
                continue
            if self.now.kind == "end":
                self.fault("The input string is not closed: } is missing", self.now, stop=True)
            self._pair(closing, outermost)

    def _pair(self, closing: str, outermost: bool) -> None:
        token = self.now
        if token.kind not in ("string", "word"):
            what = f"A key is expected, and {self.shown(token)}"
            self.fault(what, token, stop=token.kind in ("open", "end", "}", ")"))
            self._skip(closing)
            return
        key = clean("".join(self.step().value.split()))
        if self.now.kind not in (":", "="):
            hint = "; perhaps a quote is missing, or quotes around a list" if self.now.kind != "end" else ""
            self.fault(
                f"After the key {quoted(key)} a colon is expected, and {self.shown(self.now)}{hint}",
                self.now,
                key=key,
                stop=self.now.kind not in (",", closing),
            )
            return
        self.step()
        if self.now.kind == "{" and outermost and key in _HOLDERS:
            self.step()
            self._answers("}")
            return
        if self.now.kind in ("{", "[", "("):
            self.fault(
                f"The value of {quoted(key)} must be text, as 'cons,girl' for several columns; here "
                f"{self.shown(self.now)}",
                self.now,
                code="not-text",
                key=key,
            )
            self._skip(closing)
            return
        value, start, end = self._words((",", closing, ":"))
        if value is None:
            self.fault(
                f"{quoted(key)} has no value, and {self.shown(self.now)}",
                self.now,
                key=key,
                stop=self.now.kind not in (",", closing),
            )
            return
        self._keep(key, value, token, (start, end), outermost)
        if self.now.kind in (",", closing, "end"):
            return
        hint = "; perhaps a quote is missing before it"
        follows = self.now.kind in ("string", "word") and self.next.kind == ":"
        self.fault(
            f"After the value of {quoted(key)} a comma or }} is expected, and {self.shown(self.now)}"
            f"{'' if follows else hint}",
            self.now,
            key=key,
            stop=not follows,
        )

    def _keep(self, key: str, value: str, token: Token, span: Span, outermost: bool) -> None:
        value = clean(value)
        if outermost and key in ("template", "dataset"):
            # The body of a REST request, pasted whole. No template asks a question of either name.
            setattr(self.parsed, key, value)
            self.parsed.spans[key] = span
            return
        before = self.parsed.answers.get(key)
        if before is None:
            self.parsed.answers[key] = value
            self.parsed.spans[key], self.parsed.key_spans[key] = span, (token.start, token.end)
        elif before == value:
            self.fault(
                f"{quoted(key)} is given twice, with the same value",
                token,
                code="repeated-key",
                key=key,
                level="notice",
            )
        else:
            self.fault(
                f"{quoted(key)} is given twice, as {quoted(before)} and as {quoted(value)}",
                token,
                code="repeated-key",
                key=key,
            )

    def _words(self, ends: tuple[str, ...]) -> tuple[str | None, int, int]:
        """One string, or bare words up to a mark: `2 levels`, `1000`, `2LevelImpute`. None where there is neither."""
        first = self.now
        if first.kind == "string":
            self.step()
            return first.value, first.start, first.end
        if first.kind != "word":
            return None, first.start, first.end
        found = [self.step()]
        while self.now.kind == "word" and self.next.kind != ":":
            found.append(self.step())
        return " ".join(t.value for t in found), first.start, found[-1].end

    def _skip(self, closing: str) -> None:
        """Past something unusable, to the comma or closing mark that ends it."""
        depth = 0
        while self.now.kind != "end":
            kind = self.now.kind
            if depth == 0 and kind in (",", closing):
                return
            depth += (kind in ("{", "[", "(")) - (kind in ("}", "]", ")") and depth > 0)
            self.step()
