"""Reads a page as a browser would: forms with their values, ids, labels, what is visible as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"input", "meta", "link", "br", "hr", "img", "rect", "path", "circle", "line", "use", "polyline"}


@dataclass
class Form:
    """One form: its address and the fields that a browser would send."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, words


class Page(HTMLParser):
    """What the tests ask of a page."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.source, self.forms, self.ids = text, [], []
        self.labelled: set[str] = set()
        self.controls: list[dict[str, Any]] = []
        self.inline: list[str] = []
        self.links: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._form: Form | None = None
        self._select: tuple[str, str | None] | None = None
        self._text: list[str] = []
        self._words: list[str] = []
        self._button: tuple[str, str] | None = None
        self._area: str | None = None
        self.feed(text)
        self.close()

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self._text)).strip()

    def form(self, action: str, n: int = 0) -> Form:
        return [f for f in self.forms if f.action == action][n]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        inside_label = any(t == "label" for t, _ in self._open)
        if tag not in VOID:
            self._open.append((tag, a))
        if a.get("id"):
            self.ids.append(str(a["id"]))
        if "style" in a or any(name.startswith("on") for name in a) or (tag == "script" and not a.get("src")):
            self.inline.append(self.get_starttag_text() or tag)
        if tag == "style":
            self.inline.append("<style>")
        if tag == "label" and a.get("for"):
            self.labelled.add(str(a["for"]))
        if tag == "a" and a.get("href"):
            self.links.append(str(a["href"]))
        if tag == "form":
            self._form = Form(a.get("action") or "", a.get("method") or "get")
            self.forms.append(self._form)
        if tag in ("input", "select", "textarea") and a.get("type") != "hidden":
            self.controls.append({**a, "tag": tag, "inside": inside_label})
        self._field(tag, a)

    def _field(self, tag: str, a: dict[str, str | None]) -> None:
        if tag == "button":
            self._button, self._words = (a.get("name") or "", a.get("value") or ""), []
        if self._form is None or ("disabled" in a and tag != "option"):
            return
        name = a.get("name")
        if tag == "input" and name and (a.get("type") not in ("radio", "checkbox", "file") or "checked" in a):
            self._form.fields.append((name, a.get("value") or "on" * (a.get("type") == "checkbox")))
        elif tag == "select":
            self._select = (name or "", None)
        elif tag == "option" and self._select and "disabled" not in a:
            if self._select[1] is None or "selected" in a:
                self._select = (self._select[0], a.get("value"))
        elif tag == "textarea":
            self._area, self._words = name or "", []

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open[-1][0] != tag:
            self._open.pop()
        if self._open:
            self._open.pop()
        if tag == "form":
            self._form = None
        elif tag == "select" and self._form is not None and self._select:
            self._form.fields.append((self._select[0], self._select[1] or ""))
            self._select = None
        elif tag == "button" and self._button is not None:
            if self._form is not None:
                self._form.buttons.append((*self._button, re.sub(r"\s+", " ", "".join(self._words)).strip()))
            self._button = None
        elif tag == "textarea" and self._form is not None and self._area is not None:
            words = "".join(self._words)
            self._form.fields.append((self._area, words.removeprefix("\n")))  # as browsers do
            self._area = None

    def handle_data(self, data: str) -> None:
        if not any(t in ("script", "style", "title") for t, _ in self._open):
            self._text.append(data)
        self._words.append(data)

    def faults(self) -> list[str]:
        """What every page must not have: inline scripts and styles, double ids, controls without a name."""
        found = [f"inline: {t}" for t in self.inline]
        found += [f"id twice: {i}" for i in {i for i in self.ids if self.ids.count(i) > 1}]
        for c in self.controls:
            named = c["inside"] or c.get("aria-label") or c.get("aria-labelledby") or c.get("id") in self.labelled
            if not named:
                found.append(f"no label: {c}")
        return found


def press(client: Any, page: Page, action: str, do: str = "next", n: int = 0, **values: str | list[str]) -> Any:
    """Send a form as a browser without JavaScript would, with these values in place, by this button."""
    form = page.form(action, n)
    fields = [(k, v) for k, v in form.fields if k not in values]
    for name, value in values.items():
        fields += [(name, v) for v in ([value] if isinstance(value, str) else value)]
    data: dict[str, list[str]] = {}
    for name, value in [*fields, ("do", do)]:
        data.setdefault(name, []).append(value)
    return client.post(action, data=data)
