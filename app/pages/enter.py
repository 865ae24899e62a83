"""The way in: an address with a ticket, or the token, is changed into a cookie; others are told how to enter."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from app import keys
from app.errors import body, is_api
from app.pages.ask import Form, word
from app.pages.render import bare_page, see_other

router = APIRouter()
YEAR = 365 * 86_400


@router.get("/enter")
def enter(request: Request, ticket: str = "") -> Response:
    """The start address. A ticket that is used already is refused, unless the browser is known by now."""
    if keys.known(request.headers) or (ticket and keys.use(ticket)):
        return _let_in(request)
    return _refuse(request, "This address has been used already, or is mistyped." if ticket else "")


@router.post("/enter", max_body_size=10_000)
def by_hand(request: Request, form: Form) -> Response:
    """The token, typed or pasted."""
    given = word(form, "token").strip()
    return _let_in(request) if keys.is_token(given) else _refuse(request, "This is not the token of this server.")


def unknown(scope: Scope) -> Response:
    """What somebody gets who may not use the application."""
    if is_api(scope["path"]):
        message = "Send the token of this server in the header Authorization: Bearer TOKEN (statgrove token prints it)."
        return JSONResponse(body("unknown", message), 401, headers={"www-authenticate": "Bearer"})
    return _refuse(Request(scope), "")


def _let_in(request: Request) -> Response:
    answer = see_other("/")
    # Lax: a link in a mail or a notebook may lead here. Forms of other sites are refused by app.guard.
    answer.set_cookie(
        keys.cookie_name(request.headers.get("host", "")),
        keys.cookie(),
        max_age=YEAR,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    answer.headers["cache-control"] = "no-store"
    return answer


def _refuse(request: Request, why: str) -> Response:
    answer = bare_page(request, "enter.html", title="This server is private", status=401, why=why)
    answer.headers["cache-control"] = "no-store"
    return answer
