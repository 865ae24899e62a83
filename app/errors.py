"""One shape for every error of the REST interface, and who answers an error on a page.

{"error": {"code": "not-found", "message": "There is no run 7.", "problems": [{"key": ..., "message": ...}]}}
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from app import db, place
from templates_engine.data import readers
from templates_engine.problems import Problem, Refused

log = logging.getLogger("statgrove.web")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
Handler = Callable[[Request, Any], Response | Awaitable[Response]]

CODES = {
    400: "bad-request",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "too-large",
    415: "unsupported-type",
    422: "invalid",
    500: "internal",
    503: "busy",
    507: "no-room",
}
TOO_LARGE = "The request is larger than is accepted here (setting STATGROVE_MAX_UPLOAD for datasets)."


class ApiError(Exception):
    """An error of the REST interface with its status."""

    def __init__(self, status: int, message: str, *, code: str = "", problems: Sequence[Problem] = ()):
        super().__init__(message)
        self.status, self.message, self.problems = status, message, list(problems)
        self.code = code or CODES.get(status, "error")


def body(code: str, message: str, problems: Sequence[Problem] = ()) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "problems": [p.as_dict() for p in problems]}}


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def plain_error(scope: Scope, status: int, code: str, message: str) -> Response:
    """An error before any route is reached."""
    if is_api(scope["path"]):
        return JSONResponse(body(code, message), status)
    return PlainTextResponse(message + "\n", status)


def _api_error(_: Request, error: ApiError) -> Response:
    return JSONResponse(body(error.code, error.message, error.problems), error.status)


def _refused(_: Request, error: Refused) -> Response:
    first = error.problems[0] if error.problems else Problem("invalid", "The input cannot be used.")
    status = 413 if first.code == "too-large" else 422
    return JSONResponse(body(first.code if status == 413 else "invalid", str(error), error.problems), status)


def _invalid(_: Request, error: RequestValidationError) -> Response:
    problems = []
    for one in error.errors():
        where = [str(part) for part in one["loc"] if part not in ("body", "query", "path", "header")]
        problems.append(Problem(one["type"].replace("_", "-"), _printable(one["msg"]), key=_printable(".".join(where))))
    return JSONResponse(body("invalid", "\n".join(p.line() for p in problems), problems), 422)


def _http(_: Request, error: HTTPException) -> Response:
    code = CODES.get(error.status_code, "error")
    message = str(error.detail)
    if said := place.no_room(error.__cause__):  # while a form was received
        return JSONResponse(body("no-room", said), 507)
    if error.status_code == 404 and message == "Not Found":
        message = "There is nothing at this address."
    elif error.status_code == 413:
        message = TOO_LARGE
    return JSONResponse(body(code, message), error.status_code, headers=error.headers)


def _files(request: Request, error: OSError) -> Response:
    if said := place.no_room(error):
        log.error("%s %s: %s", request.method, request.url.path, error)
        return JSONResponse(body("no-room", said), 507)
    return _internal(request, error)


def _busy(request: Request, error: OperationalError) -> Response:
    if said := place.no_room(error):
        return JSONResponse(body("no-room", said), 507)
    db.outage.missed(error.__cause__ or error)
    return JSONResponse(body("busy", "The database does not answer. Try again in a moment."), 503)


def _internal(request: Request, error: Exception) -> Response:
    log.exception("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse(body("internal", "Something in the program went wrong. The log of the server says what."), 500)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _left(request: Request, _: Exception) -> Response:
    """Nobody reads this answer."""
    return JSONResponse(body("left", "The request was given up."), 499)


HANDLERS: dict[type[Exception], Handler] = {
    ApiError: _api_error,
    Refused: _refused,
    RequestValidationError: _invalid,
    HTTPException: _http,
    OperationalError: _busy,
    OSError: _files,
    readers.Left: _left,
    Exception: _internal,
}


def install(app: FastAPI) -> None:
    """Answer errors under /api as JSON; elsewhere with what the pages have installed before."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, _either(handler, app.exception_handlers.get(kind)))


def _allowed(request: Request) -> list[str]:
    """The methods of all routes of this address; the framework names those of the first."""

    def there(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] == Match.FULL for route in request.app.routes)

    return [method for method in METHODS if there(method)]


def _either(api: Handler, page: Any) -> Any:
    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error.headers = {"Allow": ", ".join(_allowed(request))}
        chosen = page if page is not None and not is_api(request.url.path) else api
        found = chosen(request, error)
        return await found if isinstance(found, Awaitable) else found

    return answer
