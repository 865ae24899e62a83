"""The REST interface under /api/v1."""

from fastapi import APIRouter

from app.api import care, datasets, docs, runs, templates

router = APIRouter()
router.include_router(templates.router, prefix="/api/v1")
router.include_router(datasets.router, prefix="/api/v1")
router.include_router(runs.router, prefix="/api/v1")
router.include_router(docs.router)
router.include_router(care.router)

__all__ = ["router"]
