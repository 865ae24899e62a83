"""The web application: pages and REST interface over the same functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp

from app import api, datasets, db, errors, pages, place
from app.guard import Guard
from app.settings import settings

# Not compressed on the way: what is so already, and datasets, which may be large.
COMPRESSED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/octet-stream",
    "application/x-stata-dta",
    "application/vnd.apache.parquet",
    "application/pdf",
    "text/csv",
)
FORM_EXTRA = 1_000_000  # bytes that a form adds to the file it carries


def prepare() -> None:
    """The data folder, closed to others, the newest tables, the supplied datasets. Quick where all is there."""
    place.ready()
    db.upgrade()
    with db.session() as session:
        datasets.install_supplied(session)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await run_in_threadpool(prepare)
    db.hurry()
    try:
        yield
    finally:
        db.hurry(False)


class _Application(FastAPI):
    """FastAPI with the guard around everything, also around its own limits and its answer to a fault."""

    def build_middleware_stack(self) -> ASGIApp:
        return Guard(super().build_middleware_stack(), hosts=settings().hosts, unknown=pages.unknown)


def create_app() -> FastAPI:
    """The application, to be served by Uvicorn (`uvicorn --factory app.main:create_app`)."""
    app = _Application(
        title="StatGrove",
        version=version("statgrove"),
        description="Statistical templates: ask what is open, run, follow, fetch the results.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual page loads its scripts from elsewhere; app.api.docs has one that works offline
        redoc_url=None,
        lifespan=_lifespan,
        max_body_size=settings().max_upload + FORM_EXTRA,
    )
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5, exclude_content_types=COMPRESSED)
    app.include_router(api.router)
    pages.install(app)
    app.include_router(pages.router)
    errors.install(app)
    return app
