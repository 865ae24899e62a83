"""Protects: whoever has not the token reads nothing and changes nothing; whoever started the server is let in."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from beside import KEY, TOKEN
from fastapi.testclient import TestClient
from run_service import ROOT, forget, start, stop

from app import keys, listen, place
from app.main import create_app
from app.settings import settings
from templates_engine.problems import Refused

# What anybody may ask for. Nothing else may come to this list without a reason.
OPEN = {"/health", "/ready", "/enter", "/static"}


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    """A browser that has not been let in."""
    with TestClient(create_app(), base_url="http://127.0.0.1:8600", follow_redirects=False) as one:
        yield one


def routes(table: Any) -> Iterator[tuple[str, set[str]]]:
    """(path, methods) of every route of the application's own table."""
    for route in table:
        inside = getattr(route, "original_router", None)
        if inside is not None:
            prefix = route.include_context.prefix
            for path, methods in routes(inside.routes):
                yield prefix + path, methods
        else:
            yield route.path, set(getattr(route, "methods", None) or {"GET"})


def test_every_route_is_closed_but_for_a_written_list(client: TestClient) -> None:
    found = list(routes(client.app.routes))  # type: ignore[attr-defined]
    assert len(found) > 50
    assert {path for path, _ in found} >= {"/api/v1/runs/{run_id}", "/runs/{number}", "/", "/api/v1/openapi.json"}
    for path, methods in found:
        address = re.sub(r"\{[^}]*\}", "1", path)
        for method in methods:
            answer = client.request(method, address)
            if path in OPEN:
                assert answer.status_code in (200, 401, 404), (method, path)
            else:
                assert answer.status_code == 401, (method, path, answer.status_code)
            assert "normexam" not in answer.text
    for address in ("/nothing", "/static/../", "/STATIC/x", "//", "/api/v1/nothing", "/static/..%2f..%2fapp/keys.py"):
        assert client.get(address).status_code in (401, 404), address


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"cookie": "statgrove_key_8600="},
        {"cookie": f"statgrove_key_8600={TOKEN}"},
        {"cookie": b"a=\x80; ,;=;"},
    ],
)
def test_what_is_no_key(client: TestClient, headers: dict[str, str | bytes]) -> None:
    assert client.get("/api/v1/runs", headers=headers).status_code == 401


def test_a_ticket_is_good_once_and_becomes_a_cookie(client: TestClient) -> None:
    ticket = keys.ticket()
    assert client.get("/enter?ticket=other").status_code == 401
    answer = client.get(f"/enter?ticket={ticket}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    set_ = answer.headers["set-cookie"]
    assert "HttpOnly" in set_
    assert "SameSite=lax" in set_
    assert TOKEN not in set_
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/runs").status_code == 200  # the page's own link to its JSON
    assert client.get(f"/enter?ticket={ticket}").status_code == 303  # a browser that is known may come again
    client.cookies.clear()
    assert client.get(f"/enter?ticket={ticket}").status_code == 401
    assert "used already" in client.get(f"/enter?ticket={ticket}").text


def test_the_token_by_hand_and_in_a_header(client: TestClient) -> None:
    assert client.get("/api/v1/runs", headers=KEY).status_code == 200
    assert client.post("/enter", data={"token": "wrong"}).status_code == 401
    assert client.post("/enter", data={"token": f" {TOKEN} "}).status_code == 303
    assert client.get("/runs").status_code == 200


def test_a_token_is_made_and_kept_for_its_owner(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATGROVE_TOKEN")
    forget()
    made = keys.token()
    assert len(made) >= 40
    assert keys.token() == made
    assert (home / "token").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in home.iterdir() if "token-" in p.name] == []


def test_the_data_folder_is_closed_also_where_it_was_there(home: Path) -> None:
    home.chmod(0o755)
    database = home / "statgrove.db"
    database.chmod(0o644)
    place.ready()
    assert home.stat().st_mode & 0o777 == 0o700
    assert database.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_told_in_one_line(home: Path) -> None:
    for command in (["serve", "--no-browser"], ["run", "Trial", "--dataset", "x.csv", "--out", str(home / "out")]):
        said = start(*command, STATGROVE_DATA="/proc/statgrove").communicate(timeout=600)[0].decode()
        assert said.count("\n") == 1, said
        assert "Nothing can be written into the data folder /proc/statgrove" in said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place.tempfile, "TemporaryFile", _full)
        with pytest.raises(Refused, match="No space left on device"):
            place.ready()


def _full(**_: Any) -> Any:
    raise OSError(28, "No space left on device")


def test_what_was_left_half_written_is_removed_at_the_next_start(home: Path) -> None:
    gone = 2**22 + 1  # above every process number
    left = ("incoming/{}-0a.csv", "runs/1/0/.{}-1-2.csv", "runs/1/checkpoints/.mlm-0.npz-{}-7")
    for pattern in left:
        for number in (gone, os.getpid()):
            file = home / pattern.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    kept = home / "runs/1/checkpoints/mlm-0.npz"
    kept.touch()
    place.tidy()
    assert kept.exists()
    assert not any((home / p.format(gone)).exists() for p in left)
    assert all((home / p.format(os.getpid())).exists() for p in left)


def test_beyond_this_machine_true_addresses_and_a_warning(home: Path) -> None:
    with socket.socket() as one:
        one.bind(("0.0.0.0", 0))
        found = listen.addresses(one)
        assert not listen.loopback(one)
        port = one.getsockname()[1]
    assert f"http://127.0.0.1:{port}" in found
    assert f"http://0.0.0.0:{port}" not in found
    process = start("serve", "--no-browser", "--no-worker", "--host", "0.0.0.0", "--port", "0")
    assert process.stdout is not None
    said = b""
    while b"not encrypted" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    tickets = re.findall(rb"http://([\d.]+):\d+/enter\?ticket=[\w-]{20,}", said)
    assert len(tickets) == len(found)
    stop(process)


def test_compose_does_not_start_without_a_token() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("web", "worker"):
        assert services[name]["environment"]["STATGROVE_TOKEN"].startswith("${STATGROVE_TOKEN:?")


def test_a_short_token_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATGROVE_TOKEN", "hunter2")
    forget()
    with pytest.raises(ValueError, match="at least 16 characters") as refused:
        settings()
    assert "hunter2" not in str(refused.value)
