"""The pages: HTML over the same functions as REST and the command line."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from app.pages import errors
from app.pages.about import router as about_pages
from app.pages.ask import router as ask_pages
from app.pages.datasets import router as datasets_pages
from app.pages.help import router as help_pages
from app.pages.home import router as home_pages
from app.pages.inputs import router as inputs_pages
from app.pages.outputs import router as outputs_pages
from app.pages.render import STATIC
from app.pages.runs import router as runs_pages

router = APIRouter(include_in_schema=False)
for part in (
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
    """Static files; the mark in their address changes with their content, so a browser may keep them."""

    def file_response(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def, override]
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers.setdefault("Cache-Control", "public, max-age=86400")
        return answer


def install(app: FastAPI) -> None:
    """Static files and error pages."""
    app.mount("/static", _Static(directory=STATIC), name="static")
    errors.install(app)


__all__ = ["install", "router"]
