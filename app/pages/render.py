"""Drawing a page: the Jinja environment, what the bar shows, the answer sent back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.models import Conversation, Dataset, Run
from app.pages import format as fmt

HTML = Path(__file__).resolve().parents[1] / "html"
STATIC = Path(__file__).resolve().parents[2] / "static"
HERE_COOKIE, THEME_COOKIE = "statgrove_here", "statgrove_theme"
THEMES = ("system", "light", "dark")


@cache
def version() -> str:
    """The product's version, "0.1" for 0.1.0."""
    number = installed("statgrove")
    return number.removesuffix(".0") if number.count(".") == 2 else number


@lru_cache(maxsize=256)
def _stamp(file: Path, changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]


def static(name: str) -> str:
    """The address of a static file, with its content's mark, so that a new version is never hidden by a cache."""
    file = STATIC / name
    return f"/static/{name}?v={_stamp(file, file.stat().st_mtime_ns)}"


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HTML), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.update(static=static, version=version())
    made.filters.update(
        fixed=fmt.fixed,
        short=fmt.short,
        duration=fmt.duration,
        when=fmt.when,
        clock=fmt.clock,
        plural=fmt.plural,
        in_words=fmt.in_words,
        bytes=fmt.bytes_,
        names=fmt.names,
        breakable=fmt.breakable,
        blocks=fmt.tex_blocks,
        quoted_names=fmt.quoted_names,
        urlpart=lambda text: quote(str(text), safe=""),
    )
    return made


@dataclass(frozen=True)
class Here:
    """What the bar names: the present dataset, template and conversation."""

    dataset: str | None = None
    dataset_id: int | None = None
    template: str | None = None
    conversation: str | None = None

    @property
    def template_slug(self) -> str:
        from templates_engine import registry

        return registry.slug(self.template or "")

    @property
    def inputs_url(self) -> str:
        return f"/inputs?conversation={self.conversation}" if self.conversation else "/inputs"


def here_of(session: Session, conversation: Conversation | None) -> Here:
    """The bar of a conversation."""
    if conversation is None:
        return Here()
    row = session.get(Dataset, conversation.dataset_id) if conversation.dataset_id else None
    return Here(row.name if row else None, row.id if row else None, conversation.template, conversation.id)


@dataclass(frozen=True)
class Gauge:
    """The state gauge: a shape, a word, and seconds where they say something."""

    state: str = "idle"
    words: str = "Idle"
    percent: float = 0.0
    run_id: int | None = None
    pinned: bool = False  # of the run on this page, not of whichever goes on

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")


def gauge_of(run: Run, pinned: bool = False) -> Gauge:
    """The gauge of one run."""
    percent = float((run.progress or {}).get("percent") or 0.0)
    took = (run.finished - run.started).total_seconds() if run.finished and run.started else None
    if run.state == "running":
        elapsed = (run.progress or {}).get("elapsed")
        words = f"Working {percent:.0f}%" + (f" · {fmt.duration(elapsed)}" if elapsed else "")
    else:
        word = {"queued": "Queued", "done": "Ready", "failed": "Failed", "cancelled": "Cancelled"}[run.state]
        words = word + (f" · {fmt.duration(took)}" if took is not None else "")
    return Gauge(run.state, words, percent, run.id, pinned)


def gauge_now(session: Session) -> Gauge:
    """The gauge of whatever goes on: the newest run that is queued or running, else Idle."""
    going = select(Run).where(Run.state.in_(("running", "queued")), Run.parent_id.is_(None))
    run = session.scalar(going.order_by(Run.state.desc(), Run.id.desc()).limit(1))
    return gauge_of(run) if run else Gauge()


def theme_of(request: Request) -> str:
    chosen = request.cookies.get(THEME_COOKIE, "system")
    return chosen if chosen in THEMES else "system"


def render(request: Request, file: str, /, **context: Any) -> str:
    """A template as text, without the frame's own values."""
    return environment().get_template(file).render(request=request, **context)


def page(
    request: Request,
    session: Session,
    file: str,
    /,
    *,
    title: str,
    here: Here | None = None,
    run: Run | None = None,
    status: int = 200,
    title_error: bool = False,
    json_url: str = "",
    body_class: str = "",
    **context: Any,
) -> HTMLResponse:
    """A whole page in its frame."""
    if here is None:
        here = remembered(request, session)
    gauge = gauge_of(run, pinned=True) if run is not None else gauge_now(session)
    text = render(
        request,
        file,
        title=title,
        here=here,
        gauge=gauge,
        theme=theme_of(request),
        title_error=title_error,
        run=run,
        json_url=json_url,
        body_class=body_class,
        **context,
    )
    answer = HTMLResponse(text, status)
    if here.conversation and request.cookies.get(HERE_COOKIE) != here.conversation:
        remember(answer, here.conversation)
    return answer


def bare_page(request: Request, file: str, /, *, title: str, status: int, **context: Any) -> HTMLResponse:
    """A page that needs no database: for faults in which the database may have a part."""
    text = render(
        request,
        file,
        title=title,
        here=Here(),
        gauge=Gauge(),
        theme=theme_of(request),
        title_error=True,
        json_url="",
        body_class="",
        **context,
    )
    return HTMLResponse(text, status)


def remember(answer: Response, conversation: str) -> None:
    """Let the bar know this conversation on other pages."""
    answer.set_cookie(HERE_COOKIE, conversation, max_age=60 * 60 * 24 * 30, samesite="strict", httponly=True)


def remembered(request: Request, session: Session) -> Here:
    """The bar of the conversation this browser had last."""
    token = request.cookies.get(HERE_COOKIE, "")
    return here_of(session, session.get(Conversation, token)) if token and len(token) <= 32 else Here()


def with_dataset(here: Here, row: Dataset) -> Here:
    """The bar on a page about another dataset."""
    if here.dataset_id == row.id:
        return here
    return replace(here, dataset=row.name, dataset_id=row.id, conversation=None)


def see_other(address: str) -> RedirectResponse:
    """After a form: the page to look at."""
    return RedirectResponse(address, 303)
