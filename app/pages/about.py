"""Settings and About."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import datasets, db
from app.pages.ask import Form, word
from app.pages.format import bytes_, duration
from app.pages.render import THEME_COOKIE, THEMES, page, see_other, theme_of
from app.settings import settings

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]


@router.get("/settings")
def settings_page(request: Request, session: Db) -> Response:
    now = settings()
    limits = [
        ("Largest dataset file", bytes_(now.max_upload), "STATGROVE_MAX_UPLOAD"),
        ("Runs at the same time", str(now.workers), "STATGROVE_WORKERS"),
        ("Longest run", duration(now.max_hours * 3600), "STATGROVE_MAX_HOURS"),
        ("Data and results are kept in", str(now.data.expanduser()), "STATGROVE_DATA"),
    ]
    saved = "saved" in request.query_params
    return page(
        request, session, "settings.html", title="Settings", chosen=theme_of(request), limits=limits, saved=saved
    )


@router.post("/settings")
def change(form: Form) -> Response:
    theme = word(form, "theme")
    answer = see_other("/settings?saved")
    if theme in THEMES:
        answer.set_cookie(THEME_COOKIE, theme, max_age=60 * 60 * 24 * 365, samesite="strict", httponly=True)
    return answer


@router.get("/about")
def about_page(request: Request, session: Db) -> Response:
    supplied = [row for row in datasets.list_all(session) if row.source == "supplied"]
    return page(request, session, "about.html", title="About", supplied=supplied)
