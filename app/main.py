"""The web application: pages and REST interface over the same functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import api, datasets, db, errors
from app.guard import Guard
from app.settings import settings

FORM_EXTRA = 1_000_000  # bytes that a form adds to the file it carries


def prepare() -> None:
    """The data folder, the newest tables, the supplied datasets. Quick where all is there."""
    settings().folder()
    db.upgrade()
    with db.session() as session:
        datasets.install_supplied(session)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await run_in_threadpool(prepare)
    yield


def create_app() -> FastAPI:
    """The application, to be served by Uvicorn (`uvicorn --factory app.main:create_app`)."""
    app = FastAPI(
        title="StatGrove",
        version=version("statgrove"),
        description="Statistical templates: ask what is open, run, follow, fetch the results.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual page loads its scripts from elsewhere; app.api.docs has one that works offline
        redoc_url=None,
        lifespan=_lifespan,
        max_body_size=settings().max_upload + FORM_EXTRA,
    )
    app.include_router(api.router)
    try:
        from app import pages
    except ImportError:  # still being built
        pass
    else:
        pages.install(app)
        app.include_router(pages.router)
    errors.install(app)
    app.add_middleware(Guard, hosts=settings().hosts)
    return app
