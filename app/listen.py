"""The port that pages are served on, and the addresses under which they are found."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

WARNING = (
    "This server can be reached from other machines, and the connection is not encrypted: whoever can listen to the "
    "network reads the token and the data. Put a server with HTTPS before it, or use an SSH tunnel."
)


def listen(host: str, port: int) -> socket.socket:
    """A socket on this port, or on the next free one of the twenty after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, port + 20) if port else (0,):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, candidate))
            one.listen(128)
            return one
        except OSError as error:
            one.close()
            last = error
    raise SystemExit(f"No port from {port} to {port + 19} is free on {host} ({last}).")


def loopback(listening: socket.socket) -> bool:
    """Can the pages be reached from this machine only?"""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def addresses(listening: socket.socket) -> list[str]:
    """Where the pages are found: all of this machine's own addresses where it listens on every interface."""
    host, port = listening.getsockname()[:2]
    hosts = [host]
    if ipaddress.ip_address(host).is_unspecified:
        hosts = [*_own(listening.family), "127.0.0.1" if listening.family == socket.AF_INET else "::1"]
    return [f"http://{f'[{one}]' if ':' in one else one}:{port}" for one in hosts]


def names(addresses: Sequence[str]) -> list[str]:
    """The host names of addresses, as app.guard knows them."""
    parts = [urlsplit(address).hostname or "" for address in addresses]
    return [f"[{one}]" if ":" in one else one for one in parts]


def _own(family: int) -> list[str]:
    """This machine's addresses, the one of the way out first."""
    found: list[str] = []
    # No packet is sent: the system only says by which of its addresses it would reach there (RFC 5737, RFC 3849).
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1" if family == socket.AF_INET else "2001:db8::1", 9))
        found.append(one.getsockname()[0])
    with suppress(OSError):
        found += [str(about[4][0]) for about in socket.getaddrinfo(socket.gethostname(), None, family)]
    kept = [one for one in dict.fromkeys(found) if not ipaddress.ip_address(one.split("%")[0]).is_loopback]
    return [one for one in kept if "%" not in one]
