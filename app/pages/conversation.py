"""A conversation: the answers given so far, what Next, remove and Undo do to them.

The answers are kept by key; the questions are walked again at every change. What an answer's removal takes with it is
set aside with a mark of its question, and put back when that question returns unchanged. `aside` holds:

    kept   key -> {text, sign, back}: sign marks the question it answered ("" any), back=False only fills in the field
    undo   earlier answers, the newest last
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app import runs
from app.models import Conversation, Dataset, now
from templates_engine import registry
from templates_engine.asking import Asked, Text, Walk, walk
from templates_engine.data import Schema
from templates_engine.template import Template

MOST_UNDO = 60
MOST_TEXT = 20_000  # characters of one answer, but where the question says that more are accepted
MOST_REMEMBERED = 4_000_000  # characters in all that Undo keeps


@dataclass
class Talk:
    """A conversation with its template, dataset and walk."""

    session: Session
    conversation: Conversation
    template: Template
    row: Dataset
    schema: Schema
    walk: Walk

    @property
    def kept(self) -> dict[str, dict[str, Any]]:
        return dict(self.conversation.aside.get("kept", {}))

    @property
    def can_undo(self) -> bool:
        return bool(self.conversation.aside.get("undo"))

    def filled(self, asked: Asked) -> str:
        """The text an open question's field begins with: a wrong answer, what was set aside, or the default."""
        if asked.text is not None:
            return asked.text
        kept = self.kept.get(asked.key)
        if kept and not asked.question.judge(kept["text"]).faults:
            return str(kept["text"])
        return asked.offered or ""


def sign(asked: Asked) -> str:
    """A mark of a question: its words and what may be chosen."""
    options = [(o.value, o.allowed) for o in asked.options]
    return hashlib.sha256(repr((asked.question.kind, asked.question.label, options)).encode()).hexdigest()[:16]


def start(session: Session, template: str, row: Dataset, answers: Mapping[str, str] | None = None) -> Talk:
    """A new conversation, with answers where they are known. Refused for an unknown template. Commits."""
    form = registry.get(template)
    made = Conversation(template=form.name, dataset_id=row.id, answers={}, aside={"kept": {}, "undo": []})
    session.add(made)
    session.flush()
    talk = _talk(session, made, form, row)
    asked = _walk(talk, answers).asked if answers else {}
    given = {key: _cut(text, asked.get(key)) for key, text in (answers or {}).items()}
    _settle(talk, given, {})
    return talk


def open_(session: Session, token: str) -> Talk | None:
    """A conversation by its address; None where there is none, or where its dataset is gone."""
    found = session.get(Conversation, token)
    row = session.get(Dataset, found.dataset_id) if found and found.dataset_id else None
    if found is None or row is None or found.template not in registry.all():
        return None
    return _talk(session, found, registry.get(found.template), row)


def answer(talk: Talk, given: Mapping[str, str]) -> list[str]:
    """Next: what the fields say becomes the answers of the open questions. Returns the keys left empty. Commits."""
    answers, kept, empty = dict(talk.conversation.answers), talk.kept, []
    for asked in talk.walk.open:
        if asked.key not in given:
            continue
        text = _cut(given[asked.key], asked)
        if text.strip() or not asked.question.judge("").faults:
            answers[asked.key] = text
            kept.pop(asked.key, None)
        else:
            answers.pop(asked.key, None)
            empty.append(asked.key)
    _remember(talk)
    _settle(talk, answers, kept)
    return empty


def draft(talk: Talk, given: Mapping[str, str]) -> None:
    """Keep what the fields say without answering: the page may be drawn again as it was left. Commits."""
    kept = talk.kept
    for asked in talk.walk.open:
        if asked.key in given:
            kept[asked.key] = {"text": _cut(given[asked.key], asked), "sign": "", "back": False}
    _save(talk, dict(talk.conversation.answers), kept)


def remove(talk: Talk, key: str) -> None:
    """Take one answer back; those that depended on it are set aside. Commits."""
    asked = talk.walk.asked.get(key)
    if asked is None or asked.text is None:
        return
    answers, kept = dict(talk.conversation.answers), talk.kept
    answers.pop(key, None)
    kept[key] = {"text": asked.text, "sign": "", "back": False}
    _remember(talk)
    _settle(talk, answers, kept)


def reopen(talk: Talk, keys: Collection[str]) -> None:
    """Ask these questions again, their fields filled with what was answered; the other answers stay. Commits."""
    answers, kept = dict(talk.conversation.answers), talk.kept
    _remember(talk)
    for key in keys:
        kept[key] = {"text": answers.pop(key), "sign": "", "back": False}
    _settle(talk, answers, kept)


def undo(talk: Talk) -> None:
    """The answers as they were before the last change. Commits."""
    aside = dict(talk.conversation.aside)
    earlier = list(aside.get("undo", []))
    if not earlier:
        return
    answers, kept = dict(earlier.pop()), talk.kept
    for key, text in talk.conversation.answers.items():
        if key not in answers:
            kept[key] = {"text": text, "sign": "", "back": False}
    talk.conversation.aside = {**aside, "undo": earlier}
    _settle(talk, answers, kept)


def clear(talk: Talk) -> None:
    """Start again with the same template and dataset; one Undo brings the answers back. Commits."""
    _remember(talk)
    _settle(talk, {}, {})


def trial(talk: Talk, given: Mapping[str, str]) -> Walk:
    """The walk as it would be if the fields' right answers were given: for the live text and the side column."""
    answers = dict(talk.walk.answers)
    for asked in talk.walk.open:
        text = given.get(asked.key, "")
        if text.strip() and not asked.question.judge(text).faults:
            answers[asked.key] = text
    return _walk(talk, answers)


def about(talk: Talk) -> tuple[int, bool]:
    """How many questions there will be, and whether that is certain."""
    if talk.walk.finished:
        return len(talk.walk.asked), True
    from templates_engine import inputs

    usual = max((len(inputs.read(e.inputs).answers) for e in talk.template.examples), default=0)
    return max(usual, len(talk.walk.asked)), False


# --- how


def _cut(text: str, asked: Asked | None) -> str:
    """No more than is accepted, and one character for the fault to be seen."""
    longest = asked.question.longest if asked is not None and isinstance(asked.question, Text) else 0
    return text[: max(MOST_TEXT, longest + 1)]


def _walk(talk: Talk, answers: Mapping[str, str]) -> Walk:
    return walk(talk.template, answers, talk.schema, datasets=runs.Schemas(talk.session), defaults=False)


def _talk(session: Session, conversation: Conversation, template: Template, row: Dataset) -> Talk:
    schema = row.as_schema()
    walked = walk(template, conversation.answers, schema, datasets=runs.Schemas(session), defaults=False)
    return Talk(session, conversation, template, row, schema, walked)


def _settle(talk: Talk, answers: dict[str, str], kept: dict[str, dict[str, Any]]) -> None:
    """Set aside what is no longer asked, put back what is asked again unchanged, until nothing moves."""
    before = {asked.key: sign(asked) for asked in talk.walk.asked.values()}
    answers = _renamed(talk.template, answers)
    for _ in range(600):  # a walk asks 500 questions at most
        walked = _walk(talk, answers)
        for key in walked.unasked:
            kept[key] = {"text": answers.pop(key), "sign": before.get(key, ""), "back": True}
        back = {}
        for asked in walked.open:
            held = kept.get(asked.key)
            if asked.text is not None or not held or not held["back"]:
                continue
            # What was never asked before (a pasted string) is shown with its fault; what was set aside must suit.
            if not held["sign"] or (held["sign"] == sign(asked) and not asked.question.judge(held["text"]).faults):
                back[asked.key] = kept.pop(asked.key)["text"]
        if not back:
            break
        answers.update(back)
    written = {
        key: asked.canonical if asked.answered else str(asked.text)
        for key, asked in walked.asked.items()
        if asked.text is not None
    }
    talk.walk = walked
    _save(talk, written, kept)


def _renamed(template: Template, answers: Mapping[str, str]) -> dict[str, str]:
    """Published older keys under today's names, so that an answer is never there twice."""
    return {template.renamed.get(key, key): text for key, text in answers.items()}


def _remember(talk: Talk) -> None:
    aside = dict(talk.conversation.aside)
    earlier = [*aside.get("undo", []), dict(talk.conversation.answers)][-MOST_UNDO:]
    sizes = [sum(map(len, answers.values())) for answers in earlier]
    while len(earlier) > 1 and sum(sizes[-len(earlier) :]) > MOST_REMEMBERED:
        earlier.pop(0)
    talk.conversation.aside = {**aside, "undo": earlier}


def _save(talk: Talk, answers: dict[str, str], kept: dict[str, dict[str, Any]]) -> None:
    talk.conversation.answers = answers
    talk.conversation.aside = {**talk.conversation.aside, "kept": kept}
    talk.conversation.updated = now()
    talk.session.commit()
