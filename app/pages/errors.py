"""Errors as pages: what happened, what is kept, where to go. No traceback reaches a reader."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from app import db, place
from app.pages.render import bare_page
from templates_engine.problems import Refused

log = logging.getLogger("statgrove.web")

TITLES = {
    403: "This was refused",
    404: "There is no such page",
    405: "This address takes no form",
    413: "The file is too large",
    503: "Try again in a moment",
    507: "There is no room",
}
WORDS = {
    404: "The address may be mistyped, or what stood here has been deleted.",
    405: "Go back to the page you came from and use its buttons.",
    413: "It is larger than the limit on this server. Settings shows the limit.",
}


def install(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(OperationalError, _busy)
    app.add_exception_handler(OSError, _files)
    app.add_exception_handler(Exception, _internal)


def shown(request: Request, status: int, title: str, lines: list[str]) -> HTMLResponse:
    return bare_page(request, "error.html", title=title, status=status, lines=lines)


def _http(request: Request, error: Exception) -> HTMLResponse:
    if said := place.no_room(error.__cause__):  # while a form was received
        return shown(request, 507, TITLES[507], [said])
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    said = detail if detail and detail not in ("Not Found", "Method Not Allowed") else WORDS.get(status, detail)
    answer = shown(request, status, TITLES.get(status, "This cannot be done"), [said] if said else [])
    answer.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    return answer


def _invalid(request: Request, error: Exception) -> HTMLResponse:
    lines = ["What was sent does not suit this page. Go back and try the page's own buttons."]
    return shown(request, 422, "This cannot be read", lines)


def _refused(request: Request, error: Exception) -> HTMLResponse:
    problems = error.problems if isinstance(error, Refused) else []
    status = 413 if problems and problems[0].code == "too-large" else 422
    if problems and problems[0].code.startswith("unknown-"):
        status = 404
    if problems and problems[0].code == "unavailable-template":
        status = 503
    title = "This cannot be found" if status == 404 else TITLES[413] if status == 413 else "This cannot be used"
    return shown(request, status, title, [p.message for p in problems])


def _files(request: Request, error: Exception) -> HTMLResponse:
    if said := place.no_room(error):
        log.error("%s %s: %s", request.method, request.url.path, error)
        return shown(request, 507, TITLES[507], [said])
    return _internal(request, error)


def _busy(request: Request, error: Exception) -> HTMLResponse:
    if said := place.no_room(error):
        return shown(request, 507, TITLES[507], [said])
    db.outage.missed(error.__cause__ or error)
    return shown(request, 503, TITLES[503], ["The database does not answer just now. Nothing is lost."])


def _internal(request: Request, error: Exception) -> HTMLResponse:
    log.exception("%s %s", request.method, request.url.path, exc_info=error)
    lines = ["Something in the program went wrong. Your answers and results are kept; the server's log says what."]
    return shown(request, 500, "This page could not be made", lines)
