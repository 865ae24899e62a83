"""Set inputs: paste an input string or command, see every fault at its place, apply the nearest valid words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import datasets, db, runs
from app.models import Conversation, Dataset, Run
from app.pages import conversation as talks
from app.pages.ask import Form, word
from app.pages.fields import label_of
from app.pages.format import quoted_names
from app.pages.home import in_order
from app.pages.render import page, remember, remembered, see_other
from templates_engine import inputs, registry
from templates_engine.asking import Walk, walk
from templates_engine.inputs import MOST_CHARACTERS
from templates_engine.problems import Problem
from templates_engine.template import Template

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]
NOT_FAULTS = ("missing-answer", "unanswered")


@dataclass
class Fault:
    """One thing wrong with what was pasted: its sentence, its place in the text, and the word that would mend it."""

    problem: Problem
    start: int = 0
    end: int = 0
    nearest: str = ""  # to be put in place of text[start:end]; "" where nothing is near
    field: bool = False  # a field for it stands under the text


@dataclass
class Checked:
    """A pasted text, read against its template and dataset."""

    text: str
    template: Template | None
    row: Dataset | None
    faults: list[Fault] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    walk: Walk | None = None
    read: int = 0  # answers that were right
    given: int = 0


@router.get("/inputs")
def form(request: Request, session: Db, run: int = 0, conversation: str = "", template: str = "") -> Response:
    """The empty form; filled with an earlier run's answers, or those of the conversation going on."""
    text, chosen, row = "", template, None
    if run and (found := runs.get(session, run) if 0 < run < 2**31 else None):
        text, chosen = inputs.write(found.answers), found.template
        row = session.get(Dataset, found.dataset_id) if found.dataset_id else None
    elif conversation and (talk := session.get(Conversation, conversation[:32])):
        text = inputs.write(talk.answers) if talk.answers else ""
        chosen = template or talk.template
        row = session.get(Dataset, talk.dataset_id) if talk.dataset_id else None
    return _page(request, session, Checked(text, registry.all().get(chosen), row))


@router.post("/inputs")
def use(request: Request, session: Db, form: Form) -> Response:
    """Next, or one of the buttons that apply the nearest valid word."""
    text = word(form, "text").replace("\r\n", "\n")[: MOST_CHARACTERS + 1]
    template, dataset, do = word(form, "template"), word(form, "dataset"), word(form, "do")
    checked = check(session, text, template, dataset)
    if do.startswith("use "):
        wanted = checked.faults if do == "use all" else [f for i, f in enumerate(checked.faults) if do == f"use {i}"]
        checked = check(session, mend(checked.text, wanted), template, dataset)
        return _page(request, session, checked, status=422 if checked.faults else 200)
    changed = {k.removeprefix("fix "): str(v) for k, v in form.items() if k.startswith("fix ")}
    if changed and checked.template and checked.row:
        answers = {**checked.answers, **changed}
        for fault in checked.faults:  # the answer of a misspelt key has moved into the field of the right one
            if fault.problem.key in answers and fault.problem.nearest in changed and fault.problem.key not in changed:
                answers.pop(fault.problem.key)
        checked = check(session, inputs.write(answers), checked.template.name, str(checked.row.id))
    if checked.faults or checked.template is None or checked.row is None:
        return _page(request, session, checked, status=422)
    talk = talks.start(session, checked.template.name, checked.row, checked.answers)
    if not talk.walk.complete:
        # What the string leaves out takes its default, as from Python or the shell, when nothing else is open.
        offered = {a.key: a.offered for a in talk.walk.open if a.offered is not None and a.text is None}
        whole = walk(talk.template, talk.walk.answers, talk.schema, datasets=runs.Schemas(session))
        if whole.complete and offered:
            talks.answer(talk, whole.answers)
            for _ in range(60):
                if talk.walk.complete:
                    break
                talks.answer(talk, whole.answers)
            talk.conversation.aside = {**talk.conversation.aside, "undo": []}
            session.commit()
    where = f"/ask/{talk.conversation.id}"
    answer = see_other(where + "/model" if talk.walk.complete else where)
    remember(answer, talk.conversation.id)
    return answer


def check(session: Session, text: str, template: str, dataset: str) -> Checked:
    """Every fault of a pasted text, with its place."""
    parsed = inputs.read(text)
    known = registry.all()
    faults: list[Fault] = []
    for problem, (start, end) in zip(parsed.problems, parsed.marks, strict=False):
        if problem.level == "error":
            faults.append(_placed(text, problem, start, end))
    chosen = _template(parsed.template or template, parsed.answers, known, faults, text)
    row = _dataset(session, parsed.dataset or dataset, faults, text)
    checked = Checked(text, chosen, row, faults, dict(parsed.answers), given=len(parsed.answers))
    if chosen is None:
        if not faults:
            faults.append(Fault(Problem("no-template", "Choose the template that this string is for.", key="template")))
        return checked
    if row is None:
        if not any(f.problem.key == "dataset" for f in faults):
            faults.append(Fault(Problem("no-dataset", "Choose the dataset to use it on.", key="dataset")))
        return checked
    schema = row.as_schema()
    checked.walk = walk(chosen, parsed.answers, schema, datasets=runs.Schemas(session), recover=True, strict_keys=True)
    wrong: set[str] = set()
    for problem in checked.walk.problems:
        if problem.level != "error" or problem.code in NOT_FAULTS:
            continue
        if problem.key in parsed.answers and problem.key not in checked.walk.asked:
            start, end = parsed.key_spans.get(problem.key, (0, 0))
            faults.append(_placed(text, replace(problem, word=""), start, end))
        else:
            start, end = parsed.spans.get(problem.key, (0, 0))
            faults.append(_placed(text, problem, start, end))
        wrong.add(problem.key)
    faults.sort(key=lambda f: (f.start, f.end))
    checked.read = len([k for k in parsed.answers if k not in wrong])
    return checked


def _placed(text: str, problem: Problem, start: int, end: int) -> Fault:
    """The fault at the very word, where the word can be found inside the span."""
    if problem.word and (at := text.find(problem.word, start, end)) >= 0:
        start, end = at, at + len(problem.word)
    while end > start and text[start] in "'\"‘’“”" and text[end - 1] in "'\"‘’“”":
        start, end = start + 1, end - 1
    return Fault(problem, start, end, problem.nearest if end > start else "")


def _template(
    name: str, answers: dict[str, str], known: dict[str, Template], faults: list[Fault], text: str
) -> Template | None:
    """The template named, or the one that knows most of the keys."""
    if name:
        if name in known:
            return known[name]
        from templates_engine.problems import Refused

        try:
            return registry.get(name)
        except Refused as refused:
            at = text.find(name)
            faults.append(
                _placed(text, replace(refused.problems[0], key="template"), at, at + len(name))
                if at >= 0
                else Fault(refused.problems[0])
            )
            return None
    scores = {t.name: len(answers.keys() & _keys(t)) for t in known.values()}
    best = max(scores, key=lambda n: scores[n], default="")
    return known[best] if best and scores[best] >= max(2, len(answers) // 2) else None


def _keys(template: Template) -> set[str]:
    found = set(template.renamed) | set(template.accepted)
    for example in template.examples:
        found |= inputs.read(example.inputs).answers.keys()
    return found


def _dataset(session: Session, name: str, faults: list[Fault], text: str) -> Dataset | None:
    if not name:
        return None
    row = datasets.find(session, name)
    if row is None and re.fullmatch(r"[0-9]{1,9}", name):
        row = datasets.find(session, int(name))
    if row is None:
        from templates_engine.problems import Refused

        try:
            return datasets.get(session, name)
        except Refused as refused:
            at = text.find(name)
            faults.append(
                _placed(text, replace(refused.problems[0], key="dataset"), at, at + len(name))
                if at >= 0
                else Fault(refused.problems[0])
            )
    return row


def mend(text: str, faults: list[Fault]) -> str:
    """The text with the nearest valid words in place; from the end, so that the places stay right."""
    for fault in sorted(faults, key=lambda f: -f.start):
        if fault.nearest and fault.end > fault.start:
            text = text[: fault.start] + fault.nearest + text[fault.end :]
    return text


def pieces(checked: Checked) -> list[tuple[str, int]]:
    """The text cut at the faults: (piece, number of the fault or 0)."""
    found, at = [], 0
    for number, fault in enumerate(checked.faults, start=1):
        if fault.end > fault.start >= at:
            found += [(checked.text[at : fault.start], 0), (checked.text[fault.start : fault.end], number)]
            at = fault.end
    return [p for p in [*found, (checked.text[at:], 0)] if p[0]]


def _fields(checked: Checked) -> list[dict[str, Any]]:
    """A field for each question whose answer is wrong."""
    made: list[dict[str, Any]] = []
    if checked.walk is None or checked.row is None:
        return made
    schema = checked.row.as_schema()
    for fault in checked.faults:
        key = fault.problem.key
        target = _asked_as(checked, fault)
        asked = checked.walk.asked.get(target)
        if asked is None or any(f["key"] == target for f in made):
            continue
        text = checked.answers.get(key, "")
        options = [o for o in asked.options if o.allowed] if asked.question.kind in ("choice", "yes_no") else []
        fault.field = True
        made.append(
            {
                "key": target,
                "label": label_of(asked, schema),
                "fault": fault.problem.message,
                "text": text,
                "options": options,
                "short": asked.question.kind in ("integer", "number"),
            }
        )
    return made


def _asked_as(checked: Checked, fault: Fault) -> str:
    """The question a fault is about: of a misspelt key, the one it probably meant."""
    key = fault.problem.key
    misspelt = key in checked.answers and checked.walk is not None and key not in checked.walk.asked
    return fault.problem.nearest if misspelt else key


def _target(checked: Checked, fault: Fault) -> str:
    """Where the error summary's link leads."""
    if fault.field:
        return f"fix-{_asked_as(checked, fault)}"
    if fault.problem.key in ("template", "dataset") and not fault.end:
        return f"pick-{fault.problem.key}"
    return "pasted"


def _page(request: Request, session: Session, checked: Checked, status: int = 200) -> Response:
    rows = in_order(session)
    here = remembered(request, session)
    row = checked.row
    known: set[str] = set(checked.answers)
    if row is not None:
        known |= set(row.as_schema().names)
    named = ("not-a-column", "unknown-key", "not-allowed")
    known |= {f.problem.word for f in checked.faults if f.problem.code in named}
    fields = _fields(checked)
    faults = [
        {
            "words": quoted_names(f.problem.message.split(" Did you mean")[0], known | {f.nearest}),
            "nearest": f.nearest,
            "to": _target(checked, f),
        }
        for f in checked.faults
    ]
    history: list[Run] = runs.recent(session, 12)
    return page(
        request,
        session,
        "inputs.html",
        title="Set inputs",
        status=status,
        title_error=bool(faults),
        here=here,
        checked=checked,
        faults=faults,
        fields=fields,
        pieces=pieces(checked),
        templates=list(registry.all().values()),
        rows=rows,
        history=history,
        chosen_template=checked.template.name if checked.template else "",
        chosen_dataset=row.id if row else here.dataset_id,
        mendable=sum(1 for f in checked.faults if f.nearest),
    )
