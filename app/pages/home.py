"""The start page: the worked example, templates with their tags, recent runs, datasets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import datasets, db, runs
from app.models import Dataset, Run
from app.pages.format import duration
from app.pages.render import gauge_now, gauge_of, page, render
from templates_engine import registry
from templates_engine.template import Example, Template

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]

TAG_ORDER = ("imputation", "joint model", "1 level", "2 levels", "N levels", "MCMC", "time series", "images")
HEADINGS = ("Missing data", "Models", "Several responses", "Time series", "Series and images", "Images")
SUPPORTING = ("Data", "Describe data")  # folded under the others


@dataclass(frozen=True)
class Tag:
    """A tag with its state and the address of its next state."""

    word: str
    state: str  # "", required, left-out
    url: str

    @property
    def says(self) -> str:
        return {"": "not used", "required": "required", "left-out": "left out"}[self.state]


def tags(templates: list[Template], need: list[str], leave: list[str]) -> list[Tag]:
    """Every tag; its link turns it from not used to required, to left out, and back."""
    words = dict.fromkeys(tag for t in templates for tag in t.tags)
    used = Counter(
        tag for t in templates for tag in t.tags
    )  # a tag of one template finds nothing that its name does not
    others = [w for w in words if w not in TAG_ORDER and (used[w] > 1 or w in need or w in leave)]
    order = [w for w in TAG_ORDER if w in words] + others
    found = []
    for word in order:
        state = "required" if word in need else "left-out" if word in leave else ""
        next_need = [w for w in need if w != word] + ([word] if state == "" else [])
        next_leave = [w for w in leave if w != word] + ([word] if state == "required" else [])
        query = urlencode([("with", w) for w in next_need] + [("without", w) for w in next_leave])
        found.append(Tag(word, state, ("/?" + query if query else "/") + "#templates"))
    return found


def grouped(templates: list[Template]) -> list[tuple[str, list[Template]]]:
    """Templates under their headings, in the order of the headings."""
    groups: dict[str, list[Template]] = {}
    for template in templates:
        groups.setdefault(template.heading or "More", []).append(template)
    order = [h for h in HEADINGS if h in groups] + [h for h in groups if h not in HEADINGS]
    return [(h, groups[h]) for h in order]


def worked_example(session: Session) -> tuple[Template, Example] | None:
    """The example that the start page opens: one whose dataset is there."""
    for template in sorted(registry.all().values(), key=lambda t: not t.showcase):
        for example in sorted(template.examples, key=lambda e: e.name != template.showcase):
            if datasets.find(session, example.dataset):
                return template, example
    return None


def in_order(session: Session) -> list[Dataset]:
    """Every dataset: uploaded ones first, the newest first, then the supplied ones by name, then what runs made."""
    order = {"upload": 0, "supplied": 1, "run": 2}

    def place(row: Dataset) -> tuple[int, str]:
        return order.get(row.source, 3), row.name if row.source == "supplied" else ""

    return sorted(datasets.list_all(session), key=place)


def took(run: Run) -> str:
    """How long a finished run took."""
    return duration((run.finished - run.started).total_seconds()) if run.started and run.finished else ""


@router.get("/")
def home(request: Request, session: Db) -> Response:
    need = [w for w in request.query_params.getlist("with") if len(w) < 60][:20]
    leave = [w for w in request.query_params.getlist("without") if len(w) < 60 and w not in need][:20]
    known = list(registry.all().values())
    shown = [t for t in known if all(w in t.tags for w in need) and not any(w in t.tags for w in leave)]
    example = worked_example(session)
    row = datasets.find(session, example[1].dataset) if example else None
    questions = 0
    rows = in_order(session)
    own = [d for d in rows if d.source != "run"]
    if example and row:
        from templates_engine.asking import walk
        from templates_engine.inputs import read

        questions = len(walk(example[0], read(example[1].inputs).answers, row.as_schema()).asked)
    return page(
        request,
        session,
        "home.html",
        title="Start",
        example=example,
        example_row=row,
        questions=questions,
        guides=[t for t in known if t.guides],
        tags=tags(known, need, leave),
        groups=[g for g in grouped(shown) if g[0] not in SUPPORTING],
        supporting=[g for g in grouped(shown) if g[0] in SUPPORTING],
        narrowed=bool(need or leave),
        hidden=len(known) - len(shown),
        broken=registry.broken(),
        recent=runs.recent(session, 6),
        took=took,
        gauge_of=gauge_of,
        rows=own[:8],
        n_datasets=len(rows),
        json_url="/api/v1/templates",
    )


@router.get("/gauge")
def gauge(request: Request, session: Db, run: int = 0) -> Response:
    """The gauge alone, for its own requests."""
    pinned = runs.get(session, run) if 0 < run < 2**31 else None
    shown = gauge_of(pinned, pinned=True) if pinned else gauge_now(session)
    return Response(render(request, "parts/gauge.html", gauge=shown), media_type="text/html")
