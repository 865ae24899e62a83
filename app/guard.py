"""What every request passes: the right host, somebody who may use the application, no request forged by another
site, safe headers on every answer.

The application listens on the loopback interface; a page of another site, open in the same browser, must neither
read from it (DNS rebinding: the Host header gives it away) nor make it do something (cross-site request forgery:
Sec-Fetch-Site or Origin gives it away; OWASP CSRF Prevention Cheat Sheet).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import keys
from app.errors import TOO_LARGE, plain_error

SAFE = ("GET", "HEAD", "OPTIONS")
# What anybody may ask for: nothing in it is anybody's.
OPEN = ("/health", "/ready", "/enter")
OPEN_FOLDER = "/static/"
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def host_name(netloc: str) -> str:
    """The host of "name:port" in small letters, "" where it is malformed; IPv6 in its brackets."""
    netloc = netloc.strip().lower()
    if netloc.startswith("["):
        end = netloc.find("]")
        return netloc[: end + 1] if end > 0 else ""
    return netloc.split(":")[0]


def forged(headers: Headers) -> bool:
    """Does a browser say that another site made this request? Programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").strip().lower()


def _is_static(path: str) -> bool:
    return path.startswith(OPEN_FOLDER) and ".." not in path


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], unknown: Callable[[Scope], Response]):
        """unknown: the answer to those who may not use the application."""
        self.app, self.hosts, self.unknown = app, tuple(hosts), unknown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        replaced = False

        async def with_headers(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                # The framework's own limit answers before any route, as bare text.
                if message["status"] == 413 and "text/plain" in Headers(raw=message["headers"]).get("content-type", ""):
                    if not replaced:
                        replaced = True
                        await plain_error(scope, 413, "too-large", TOO_LARGE)(scope, receive, finish)
                    return
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
            if not replaced:
                await send(message)

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = None
        if "*" not in self.hosts and host_name(headers.get("host", "")) not in self.hosts:
            refusal = (
                400,
                "wrong-host",
                "This address is not one of the application's names (setting STATGROVE_ALLOWED_HOSTS).",
            )
        elif scope["method"] not in SAFE and forged(headers):
            refusal = (403, "cross-site", "This request came from another site and was refused.")
        elif "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
            refusal = (404, "not-found", "There is no such page.")
        if refusal is not None:
            await plain_error(scope, *refusal)(scope, receive, with_headers)
            return
        if not (scope["path"] in OPEN or _is_static(scope["path"]) or keys.known(headers)):
            await self.unknown(scope)(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)
