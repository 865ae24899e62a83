"""For those who watch over the server: is it there, and can it do its work? They tell nothing of anybody's data."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from app import db

router = APIRouter(tags=["care"])


@router.get("/health")
def health() -> dict[str, str]:
    """The server is there."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"description": "The database does not answer."}})
def ready() -> Response:
    """The server can answer pages: its database answers. 503 where it does not."""
    try:
        with db.session() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        db.outage.missed(error.__cause__ or error)
        return JSONResponse({"status": "the database does not answer"}, 503)
    return JSONResponse({"status": "ok"})
