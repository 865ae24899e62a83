"""The REST interface under /api/v1."""

from typing import Any

from fastapi import APIRouter

from app.api import care, datasets, docs, runs, templates
from app.api.shapes import ErrorOut

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorOut, "description": "The token of this server is missing."},
    404: {"model": ErrorOut, "description": "What the address names is not there."},
    409: {"model": ErrorOut, "description": "It is not in a state in which this can be done."},
    413: {"model": ErrorOut, "description": "The request is larger than is accepted here."},
    422: {"model": ErrorOut, "description": "Something of it cannot be used; every problem is told."},
    503: {"model": ErrorOut, "description": "The database does not answer, or the template cannot be loaded."},
    507: {"model": ErrorOut, "description": "The disk is full, or can only be read."},
}
router = APIRouter(responses=ERRORS)
router.include_router(templates.router, prefix="/api/v1")
router.include_router(datasets.router, prefix="/api/v1")
router.include_router(runs.router, prefix="/api/v1")
router.include_router(docs.router)
router.include_router(care.router)

__all__ = ["router"]
