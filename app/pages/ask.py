"""The question page: answered list, open questions, the model before anything runs, Run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from app import datasets, db, leads, runs
from app.models import Conversation, Dataset, Run
from app.pages import conversation as talks, fields as forms
from app.pages.conversation import Talk
from app.pages.format import duration, plural, quoted_names
from app.pages.model import model_of, same_as_text, side_of
from app.pages.render import here_of, page, remember, render, see_other
from templates_engine import registry
from templates_engine.problems import Problem, Refused

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]
MOST_FIELD = 8_000_000  # bytes of one field: a million characters of any script, with the line ends of browsers
MOST_REPLY = 200  # characters of an answer's text in the list of those given


async def sent(request: Request) -> FormData:
    """The form of a request, with bounds that no page of ours comes near."""
    return await request.form(max_files=4, max_fields=5000, max_part_size=MOST_FIELD)


Form = Annotated[FormData, Depends(sent)]


def word(form: FormData, name: str) -> str:
    """A text field of a form."""
    value = form.get(name, "")
    return value.replace("\0", "") if isinstance(value, str) else ""


@router.post("/ask")
def start(request: Request, session: Db, form: Form) -> Response:
    """Begin a conversation: template and dataset; with `example`, the template's first example, all answered."""
    template = registry.get(word(form, "template"))
    if word(form, "example"):
        example = next((e for e in template.examples if e.name == word(form, "example")), None)
        if example is None:
            raise HTTPException(404, "There is no such example.")
        from templates_engine import inputs

        row = datasets.get(session, example.dataset)
        talk = talks.start(session, template.name, row, inputs.read(example.inputs).answers)
        _take_defaults(talk)
    else:
        name = word(form, "dataset")
        row = datasets.get(session, int(name) if name.isascii() and name.isdigit() else name)
        talk = talks.start(session, template.name, row)
    answer = see_other(f"/ask/{talk.conversation.id}")
    remember(answer, talk.conversation.id)
    return answer


def _take_defaults(talk: Talk) -> None:
    """An example answers everything; what its string leaves out takes the defaults, as everywhere."""
    for _ in range(50):
        offered = {a.key: a.offered for a in talk.walk.open if a.offered is not None and a.text is None}
        if not offered or len(offered) < len(talk.walk.open):
            return
        talks.answer(talk, offered)
        talk.conversation.aside = {"kept": {}, "undo": []}
        talk.session.commit()


@router.get("/ask/{token}")
def questions(request: Request, session: Db, token: str) -> Response:
    return _page(request, _talk(session, token))


@router.get("/ask/{token}/model")
def model(request: Request, session: Db, token: str) -> Response:
    talk = _talk(session, token)
    return _model_page(request, talk) if talk.walk.complete else see_other(f"/ask/{token}")


@router.get("/ask/{token}/names")
def found(request: Request, session: Db, token: str, key: str, find: str = "") -> Response:
    """The variables with these words in their name or label: rows for a picker, suggestions for a field."""
    talk = _talk(session, token)
    names = forms.found_names(talk, key, find)
    if names is None:
        raise HTTPException(404, "There is no such question.")
    asked, rows = names
    text = render(request, "ask/names.html", key=key, names=rows, rows=asked.question.kind == "columns")
    return Response(text, media_type="text/html")


@router.post("/ask/{token}")
def act(request: Request, session: Db, token: str, form: Form) -> Response:
    """One button of the page: next, add/out/up/down in a picker, remove KEY, undo, clear, run, lead NAME."""
    talk = _talk(session, token)
    do = word(form, "do") or "next"
    verb = do.partition(" ")[0]
    here = f"/ask/{token}"
    if verb in ("add", "out", "up", "down"):
        talks.draft(talk, forms.picked_by_button(forms.given(form, talk.walk.open), do))
        return see_other(f"{here}#q-{do.split(' ')[1]}" if " " in do else here)
    if verb == "remove":
        talks.draft(talk, forms.given(form, talk.walk.open))
        talks.remove(talk, do.partition(" ")[2])
        return see_other(here)
    if verb == "undo":
        talks.undo(talk)
        return see_other(here)
    if verb == "clear":
        talks.clear(talk)
        return see_other(here)
    if verb == "run":
        return _run(request, talk)
    if verb == "lead":
        return _led(request, talk, do.partition(" ")[2])
    if verb == "mend":
        return _asked_again(request, talk) or see_other(here)
    empty = talks.answer(talk, forms.given(form, talk.walk.open))
    if empty or any(a.problems for a in talk.walk.open) or (talk.walk.finished and _conflicts(talk)):
        return _page(request, talk, empty, status=422)
    if talk.walk.complete:
        return _asked_again(request, talk) or see_other(f"{here}/model")
    return see_other(here)


def _led(request: Request, talk: Talk, lead: str) -> Response:
    """A new conversation with another template, these answers carried over."""
    try:
        to, answers = leads.carry(talk.session, talk.template, lead, talk.walk.answers, talk.row)
    except Refused as refused:
        return _model_page(request, talk, refused.problems, status=422)
    return begun(talk.session, to.template, talk.row, answers)


def begun(session: Session, template: str, row: Dataset, answers: dict[str, str]) -> Response:
    """A new conversation with these answers: its model where they are complete, else its questions."""
    talk = talks.start(session, template, row, answers)
    answer = see_other(f"/ask/{talk.conversation.id}{'/model' if talk.walk.complete else ''}")
    remember(answer, talk.conversation.id)
    return answer


def _asked_again(request: Request, talk: Talk) -> Response | None:
    """The questions whose answers the rows forbid, each with the reason; None where there is no such question."""
    if not talk.walk.complete:
        return None
    found = [p for p in model_of(talk).errors if p.key in talk.walk.answers]
    if not found:
        return None
    talks.reopen(talk, {p.key for p in found})
    return _page(request, talk, status=422, found=found)


@router.post("/ask/{token}/draft")
def live(request: Request, session: Db, token: str, form: Form) -> Response:
    """What the fields say now, as text and in the side column; the fields themselves stay as they are."""
    talk = _talk(session, token)
    given = forms.given(form, talk.walk.open)
    talks.draft(talk, given)
    walked = talks.trial(talk, given)
    here = here_of(session, talk.conversation)
    context = {"here": here, "model_page": False, **side_of(talk, walked)}
    text = render(request, "ask/side.html", **context)
    text += render(request, "parts/same.html", same=same_as_text(request, talk, walked))
    return Response(text, media_type="text/html")


def _talk(session: Session, token: str) -> Talk:
    talk = talks.open_(session, token[:64])
    if talk is None:
        if (left := session.get(Conversation, token[:64])) and left.dataset_id:
            registry.get(left.template)  # says why, where the template is what is missing
        raise HTTPException(404, "There is no such conversation. Its dataset may have been deleted.")
    return talk


def _conflicts(talk: Talk) -> list[Problem]:
    return [p for p in talk.walk.said if p.level == "error"]


def faults_of(talk: Talk, asked_fields: list[forms.Field]) -> list[dict[str, Any]]:
    """The error summary: one line a fault, linked to its field."""
    known = {*talk.schema.names, *talk.walk.asked}
    found = []
    for f in asked_fields:
        for fault in f.faults:
            near = next((p.nearest for p in f.asked.problems if p.message == fault), "")
            found.append({"to": f.id, "words": quoted_names(fault, known), "about": f.label, "nearest": near})
    for p in _conflicts(talk):
        found.append({"to": "answered", "words": quoted_names(p.message, known), "about": "", "nearest": ""})
    return found


def _page(
    request: Request, talk: Talk, empty: list[str] | None = None, status: int = 200, found: Sequence[Problem] = ()
) -> Response:
    listed = forms.fields(talk, empty or [], found)
    faults = faults_of(talk, listed)
    about, certain = talks.about(talk)
    here = here_of(talk.session, talk.conversation)
    return page(
        request,
        talk.session,
        "ask/page.html",
        title=talk.template.name,
        here=here,
        status=status,
        title_error=bool(faults),
        template=talk.template,
        talk=talk,
        fields=listed,
        faults=faults,
        answered=answered_of(talk),
        about=about,
        certain=certain,
        model_page=False,
        same=same_as_text(request, talk, talk.walk),
        json_url=f"/api/v1/templates/{talk.template.slug}",
        **side_of(talk, talk.walk),
    )


def answered_of(talk: Talk) -> list[dict[str, Any]]:
    """The answered questions in order: words, reply, and whether the reply is a name."""
    found = []
    for asked in talk.walk.asked.values():
        if asked.answered:
            kind = asked.question.kind
            lines = getattr(asked.question, "lines", False)
            reply = _short(asked.canonical) if lines else asked.canonical.replace(",", ", ")
            found.append(
                {
                    "key": asked.key,
                    "label": forms.label_of(asked, talk.schema),
                    "plain": asked.question.label,
                    "reply": reply,
                    "mono": kind in ("column", "columns", "dataset", "text"),
                }
            )
    return found


def _short(text: str) -> str:
    """The first line of an answer of several, and how many more there are."""
    first, _, rest = text.strip("\n").partition("\n")
    first = first if len(first) <= MOST_REPLY else first[:MOST_REPLY] + "…"
    return f"{first} … and {plural(rest.count(chr(10)) + 1, 'more line')}" if rest else first


def _model_page(request: Request, talk: Talk, refused: list[Problem] | None = None, status: int = 200) -> Response:
    shown = model_of(talk)
    errors = refused or shown.errors
    known = {*talk.schema.names, *talk.walk.asked}
    labels = {a.key: forms.label_of(a, talk.schema) for a in talk.walk.asked.values()}
    faults = [
        {
            "to": f"a-{p.key}" if p.key in labels else "answered",
            "words": quoted_names(p.message, known),
            "about": labels.get(p.key, ""),
            "nearest": "",
        }
        for p in errors
    ]
    return page(
        request,
        talk.session,
        "ask/model.html",
        title=f"{talk.template.name}, the model",
        here=here_of(talk.session, talk.conversation),
        status=status,
        title_error=bool(faults),
        template=talk.template,
        talk=talk,
        faults=faults,
        mendable=any(p.key in talk.walk.answers for p in errors),
        model=shown,
        answered=answered_of(talk),
        last=_last_run(talk),
        model_page=True,
        same=same_as_text(request, talk, talk.walk),
        json_url="",
        **side_of(talk, talk.walk),
    )


def _last_run(talk: Talk) -> str:
    """How long the newest finished run of this template on this dataset took."""
    wanted = select(Run).where(Run.template == talk.template.name, Run.state == "done", Run.parent_id.is_(None))
    run = talk.session.scalar(wanted.order_by(Run.dataset_id != talk.row.id, Run.id.desc()).limit(1))
    if run is None or not run.started or not run.finished:
        return ""
    return duration((run.finished - run.started).total_seconds())


def _run(request: Request, talk: Talk) -> Response:
    if not talk.walk.complete:
        return _page(request, talk, [a.key for a in talk.walk.open if a.text is None], status=422)
    if model_of(talk).errors:
        return _model_page(request, talk, status=422)
    try:
        run = runs.submit(talk.session, talk.template.name, talk.row, talk.walk.answers, title=title_of(talk))
    except Refused as refused:
        talk.session.rollback()
        return _model_page(request, talk, refused.problems, status=422)
    return see_other(f"/runs/{run.id}")


def title_of(talk: Talk) -> str:
    """A run's name: the example's, where the answers are an example's, else template and dataset."""
    from templates_engine import inputs

    for example in talk.template.examples:
        if example.dataset == talk.row.name:
            given = inputs.read(example.inputs).answers
            given = {talk.template.renamed.get(k, k): v for k, v in given.items()}
            if all(talk.walk.answers.get(k) == v for k, v in given.items() if k not in talk.template.accepted):
                return example.title or "Worked example"
    return f"{talk.template.name} on {talk.row.name}"
