"""The pages: HTML over the same functions as REST and the command line."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from app.pages import about, ask, datasets, errors, help, home, inputs, outputs, runs
from app.pages.render import STATIC

router = APIRouter(include_in_schema=False)
for part in (home, datasets, help, ask, inputs, runs, outputs, about):
    router.include_router(part.router)


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
