"""The pages: HTML over the same functions as REST and the command line."""

from __future__ import annotations

import os

from fastapi import APIRouter, FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.pages import errors
from app.pages.about import router as about_pages
from app.pages.ask import router as ask_pages
from app.pages.datasets import router as datasets_pages
from app.pages.enter import router as enter_pages, unknown
from app.pages.help import router as help_pages
from app.pages.home import router as home_pages
from app.pages.inputs import router as inputs_pages
from app.pages.outputs import router as outputs_pages
from app.pages.render import STATIC
from app.pages.runs import router as runs_pages

router = APIRouter(include_in_schema=False)
for part in (
    enter_pages,
    home_pages,
    datasets_pages,
    help_pages,
    ask_pages,
    inputs_pages,
    runs_pages,
    outputs_pages,
    about_pages,
):
    router.include_router(part)


class _Static(StaticFiles):
    """Static files. A mark in the address changes with the content, so a browser may keep what it fetched with one;
    without it, as scripts name one another, it asks each time whether the file has changed."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        marked = b"v=" in scope.get("query_string", b"")
        answer.headers.setdefault("Cache-Control", "public, max-age=86400" if marked else "no-cache")
        return answer


def install(app: FastAPI) -> None:
    """Static files and error pages."""
    app.mount("/static", _Static(directory=STATIC), name="static")
    errors.install(app)


__all__ = ["install", "router", "unknown"]
