"""Damaged files of every type, uploaded: read or refused in a sentence, never a fault of the program.

200 files in the tests, 2,000 by `make fuzz`. Each is a whole file with bytes flipped, cut out, doubled or put in.
"""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from fastapi.testclient import TestClient

from templates_engine.data import readers

FILES = int(os.environ.get("STATGROVE_FUZZ", "200"))
KINDS = (".csv", ".csv", ".txt", ".dta", ".xlsx", ".xlsx", ".parquet", ".sav")  # how often each
SLOW = {".sav"}  # read in a process of its own, so that few are enough in the tests
SEEDS = [seed for seed in range(FILES) if KINDS[seed % len(KINDS)] not in SLOW or FILES > 200 or seed % 40 == 7]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of each type, with texts, labels, gaps, codes, dates."""
    folder = tmp_path_factory.mktemp("whole")
    n = 60
    frame = pd.DataFrame(
        {
            "id": [f"{i:03d}" for i in range(n)],
            "x": np.where(np.arange(n) % 7 == 0, np.nan, np.arange(n) / 3),
            "n": np.arange(n) * 1000.0,
            "town": np.array(["Ely", "Łódź", "São Paulo"])[np.arange(n) % 3],
            "day": pd.date_range("2020-01-01", periods=n),
        }
    )
    made: dict[str, bytes] = {}
    for kind in set(KINDS):
        path = folder / f"whole{kind}"
        if kind == ".csv":
            frame.to_csv(path, index=False)
        elif kind == ".txt":
            path.write_bytes(frame.to_csv(index=False, sep=";", decimal=",").encode("utf-16"))
        elif kind == ".dta":
            frame.to_stata(path, write_index=False, version=118)
        elif kind == ".xlsx":
            frame.to_excel(path, index=False)
        elif kind == ".sav":
            pyreadstat.write_sav(frame, str(path), variable_value_labels={"n": {1000.0: "a"}})
        else:
            pytest.importorskip("pyarrow")
            frame.to_parquet(path)
        made[kind] = path.read_bytes()
    return made


def damaged(content: bytes, kind: str, generator: random.Random) -> bytes:
    if kind == ".xlsx" and generator.random() < 0.7:
        return _damaged_part(content, generator)
    return _bytes(content, generator)


def _damaged_part(content: bytes, generator: random.Random) -> bytes:
    """A sound archive with one part of it damaged."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        chosen = generator.choice(old.namelist())
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, _bytes(part, generator) if name == chosen else part)
    return out.getvalue()


def _bytes(content: bytes, generator: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(generator.choice((1, 1, 3, 10))):
        at = generator.randrange(len(data) + 1)
        length = generator.choice((1, 2, 8, 200))
        what = generator.randrange(5)
        if what == 0:
            data[at : at + length] = generator.randbytes(len(data[at : at + length]))
        elif what == 1:
            del data[at : at + length]
        elif what == 2:
            data[at:at] = data[at : at + length]
        elif what == 3:
            data[at:at] = generator.choice((b'"', b"\x00", b"\n", b",,,", b"\xff", "€".encode(), b"'", b"\r", b"1e999"))
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for every small file would take a second each; tests/app/test_uploads_apart.py has those."""
    monkeypatch.setattr(readers, "PACKED", frozenset())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_file(client: TestClient, whole: dict[str, bytes], seed: int) -> None:
    generator = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    content = damaged(whole[kind], kind, generator)
    answer = client.post("/api/v1/datasets", files={"file": (f"damaged{kind}", content)})
    assert answer.status_code in (200, 201, 413, 422), answer.text[:500]
    if answer.status_code >= 400:
        problems = answer.json()["error"]["problems"]
        assert problems
        assert all("Traceback" not in p["message"] and "\n" not in p["message"] for p in problems)
        return
    about = answer.json()
    number = about["id"]
    page = client.get(f"/datasets/{number}")
    assert page.status_code == 200
    _nothing_lost_in_silence(kind, content, about)


def _nothing_lost_in_silence(kind: str, content: bytes, about: dict[str, object]) -> None:
    """Of a text without quotes every line is a row, or a note says why not."""
    if kind != ".csv" or b'"' in content:
        return
    lines = [line for line in content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n") if line.strip()]
    rows = int(str(about["n_rows"]))
    assert rows >= len(lines) - 1 or about["note"], (rows, len(lines))


def test_the_files_are_damaged(whole: dict[str, bytes]) -> None:
    """Else the test would hold of nothing."""
    changed = 0
    for seed in SEEDS:
        kind = KINDS[seed % len(KINDS)]
        changed += damaged(whole[kind], kind, random.Random(seed)) != whole[kind]
    assert changed > 0.95 * len(SEEDS)


def test_where_the_damage_is_bounded(client: TestClient, tmp_path: Path) -> None:
    """One line of a million signs, ten thousand names, a hundred thousand quotes: answered in a moment."""
    for content in (b"a," * 500_000, b"x\n" + b"1" * 1_000_000, b'"' * 100_000, b"a,b\n" + b'"\n' * 50_000):
        answer = client.post("/api/v1/datasets", files={"file": ("long.csv", content)})
        assert answer.status_code in (200, 201, 422)
