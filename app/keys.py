"""Who may use the application: whoever has its token. Another user of the machine has not.

    token       a secret text, kept in the data folder (or given as STATGROVE_TOKEN); programs send it in a header,
                Authorization: Bearer TOKEN
    ticket      a part of an address that is good once; opening the address turns it into a cookie
    cookie      what a browser sends from then on: made of the token, and worth nothing when that is changed

Tickets are files of the data folder: whoever can write there may enter.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers

from app.settings import settings

GOOD_FOR = 7 * 86_400.0  # seconds that a ticket is good for, if it is not used


def token() -> str:
    """The token of this data folder; made, for its owner's eyes only, if there is none."""
    if chosen := settings().token.get_secret_value():
        return chosen
    file = settings().folder() / "token"
    with suppress(FileNotFoundError):
        if found := file.read_text(encoding="ascii").strip():
            return found
    scratch = file.with_name(f".token-{os.getpid()}-{secrets.token_hex(4)}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(secrets.token_urlsafe(32) + "\n")
    try:
        with suppress(FileExistsError):  # another process was quicker: its token counts
            os.link(scratch, file)
    finally:
        scratch.unlink()
    return file.read_text(encoding="ascii").strip()


def ticket() -> str:
    """A new ticket."""
    made = secrets.token_urlsafe(24)
    _place(made).touch(mode=0o600)
    return made


def use(given: str) -> bool:
    """Take a ticket: True the first time. Old ones are thrown away."""
    folder = settings().folder("tickets")
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > GOOD_FOR:
                file.unlink()
    try:
        _place(given).unlink()
    except FileNotFoundError:
        return False
    return True


def _place(given: str) -> Path:
    return settings().folder("tickets") / hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()


def cookie_name(host: str) -> str:
    """Browsers give a cookie to every port of a host: two servers on one machine need two names."""
    port = host.rpartition(":")[2]
    return f"statgrove_key_{port if port.isascii() and port.isdigit() else '80'}"


def cookie() -> str:
    return hmac.new(token().encode(), b"cookie", hashlib.sha256).hexdigest()


def is_token(given: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token().encode())


def known(headers: Headers) -> bool:
    """Does a request come from somebody who may use the application?"""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_token(given.strip()):
        return True
    try:
        sent = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers.get("host", "")))
    except CookieError:
        return False
    return sent is not None and hmac.compare_digest(sent.value.encode(), cookie().encode())
