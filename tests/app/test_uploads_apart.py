"""Protects: what strangers send is read apart, within limits, and for as long as somebody waits for it."""

from __future__ import annotations

import io
import signal
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import KEY, TOKEN
from fastapi.testclient import TestClient
from run_service import CSV, forget, start, wait_for

from app.main import create_app
from templates_engine.data import readers
from templates_engine.problems import Refused

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
        yield one


def workbook(rows: int) -> bytes:
    """A workbook whose rows are all the same, so that it is small and unpacks to very much."""
    import openpyxl

    out = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["y"])
    book.save(out)
    row = b'<row><c t="n"><v>1</v></c></row>'
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(made := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != SHEET:
                new.writestr(name, old.read(name))
        with new.open(SHEET, "w") as part:
            part.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            for _ in range(rows // 1000):
                part.write(1000 * row)
            part.write(b"</sheetData></worksheet>")
    return made.getvalue()


def send(client: TestClient, name: str, content: bytes) -> Any:
    return client.post("/api/v1/datasets", files={"file": (name, io.BytesIO(content))})


def children() -> list[str]:
    """The processes that read a file now."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = one.read_bytes()
        except OSError:
            continue
        if b"templates_engine.data.readers.apart" in said:
            found.append(one.parent.name)
    return found


def test_a_workbook_that_swells_is_refused(client: TestClient) -> None:
    content = workbook(3_000_000)
    assert len(content) < 1_000_000
    answer = send(client, "small.xlsx", content)
    assert answer.status_code == 413, answer.text
    assert "unpacks to more than 100 times its size" in answer.text


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [("UPLOAD_SECONDS", "0.01", "within 0.01 seconds"), ("UPLOAD_MEMORY", "2000000", "of memory to be read")],
)
def test_time_and_memory_are_limited(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"STATGROVE_{setting}", value)
    forget()
    answer = send(client, "own.xlsx", workbook(20_000))
    assert answer.status_code == 413, answer.text
    assert says in answer.text
    assert send(client, "own.csv", CSV.encode()).status_code == 201  # the server goes on


def test_what_is_read_apart_is_the_same(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "school.csv"
    file.write_text(CSV)
    here = readers.read(file)
    monkeypatch.setattr(readers, "QUICK", 0)
    assert readers.read_sent(file, "school.csv", readers.Limits()).sha256() == here.sha256()
    with pytest.raises(readers.Left):
        readers.read_sent(file, "school.csv", readers.Limits(gone=lambda: True))
    file.write_text("")
    with pytest.raises(Refused, match="empty"):
        readers.read_sent(file, "school.csv", readers.Limits())


def posted(port: int, content: bytes) -> socket.socket:
    """An upload whose answer is not waited for."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="own.xlsx"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(
        f"POST /api/v1/datasets HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return one


def test_the_child_ends_when_its_client_leaves_and_when_the_server_stops(home: Path) -> None:
    content = workbook(700_000)  # under the limit of swelling: half a minute of reading
    process = start("serve", "--no-browser", "--no-worker", "--port", "0")
    assert process.stdout is not None
    port = 0
    while not port:
        line = process.stdout.readline().decode()
        assert line, "the server ended"
        if "StatGrove is at" in line:
            port = int(line.split("127.0.0.1:")[1].split()[0])
    drained = threading.Thread(target=process.stdout.read, daemon=True)
    drained.start()
    one = posted(port, content)
    wait_for(children)
    one.close()
    wait_for(lambda: not children(), "the child outlived its client")
    assert list((home / "incoming").iterdir()) == []
    one = posted(port, content)
    wait_for(children)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert process.returncode == 0
    wait_for(lambda: not children(), "the child outlived its server")
    one.close()
    drained.join(60)
