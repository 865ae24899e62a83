"""Protects: the command line's exit codes and files, and that every way of asking gives the same tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import CSV, LONGEST, ROOT, forget, start, wait_for

from app import db, queue, runs
from app.main import create_app

QUICK = "{'y': 'y', 'iterations': '20'}"


@pytest.fixture
def data(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "school.csv"
    path.write_text(CSV)
    return path


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *arguments]
    environ = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LONGEST, check=False)


def test_run_writes_everything(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = call("run", "Trial", "--dataset", str(data), "--inputs", QUICK, "--out", str(out))
    assert done.returncode == 0, done.stderr
    listed = json.loads((out / "manifest.json").read_text())["artifacts"]
    assert all(set(one) == {"name", "file", "kind", "title", "sha256"} for one in listed)
    assert {one["file"] for one in listed} | {"manifest.json"} == {p.name for p in out.iterdir()}
    assert {"Means.csv", "Means.json", "out.dta", "copy.dta", "Inputs.txt", "script.py"} <= {
        p.name for p in out.iterdir()
    }
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".out")] == []
    with db.session() as session:
        (run,) = runs.recent(session)
    assert (run.state, run.origin, run.queue) == ("done", "cli", "")


def test_every_way_gives_the_same_tables(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line, command, file of inputs, REST and Python: equal bytes."""
    inputs = tmp_path / "inputs.txt"
    inputs.write_text("{'y': 'y',\n 'seed': '5', 'nchains': 3}\n")
    command = "RunStatJR(template='Trial', dataset='school', invars = {'y': 'y', 'seed': '5', 'nchains': 3})"
    first = call("run", "Trial", "--dataset", str(data), "--inputs", f"@{inputs}", "--out", str(tmp_path / "a"))
    second = call("run", "--command", command, "--out", str(tmp_path / "b"))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    script = f"from statgrove import RunStatJR\nresult = {command[:-1]}, out={str(tmp_path / 'c')!r})\n"
    script += "assert result.state == 'done'\n"
    script += (
        "assert list(result.tables['Means'].columns) == ['mean', 'kept']\nassert result.artifacts['out'].is_file()\n"
    )
    python = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert python.returncode == 0, python.stderr
    forget()
    monkeypatch.setattr(queue, "send", lambda *_: True)
    with TestClient(create_app(), headers=KEY, base_url="http://localhost") as client:
        body = {"template": "Trial", "dataset": "school", "answers": {"y": "y", "seed": 5, "nchains": 3}}
        run = client.post("/api/v1/runs", json=body).json()["id"]
        queue.run_here(run, 0)
        for file in ("Means.csv", "Means.json", "out.dta", "equation.tex", "Inputs.txt", "script.py", "runspec.json"):
            found = {(tmp_path / way / file).read_bytes() for way in "abc"}
            found.add(client.get(f"/api/v1/runs/{run}/artifacts/{file}").content)
            assert len(found) == 1, file


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["Trial", "--dataset", "DATA", "--inputs", "{'y': 'yy', 'how': 'badly', 'z': '1'}"], ["y", "how", "z"]),
        (["Trial", "--dataset", "DATA", "--inputs", "{}"], ["y"]),
        (["Trial", "--dataset", "DATA", "--inputs", "@/nowhere"], ["--inputs"]),
        (["Trial", "--dataset", "nothing", "--inputs", QUICK], ["dataset"]),
        (["Trial", "--dataset", "/nowhere/data.csv", "--inputs", QUICK], ["dataset"]),
        (["Trial", "--inputs", QUICK], ["--dataset"]),
        (["Trail", "--dataset", "DATA", "--inputs", QUICK], ["template"]),
        (["--dataset", "DATA", "--inputs", QUICK], ["TEMPLATE"]),
        (["Trial", "--dataset", "DATA", "--inputs", "{'y': 'y', 'how': 'check'}"], ["y", "how"]),
        (["Trial", "--dataset", "DATA", "--inputs", "{'y': 'y', 'how': 'refuse'}"], ["y", "how"]),
        (["2LevelMod", "--command", "RunStatJR(template='Trial', dataset='s', invars={})"], ["--command"]),
    ],
)
def test_bad_input_is_2_with_a_line_a_problem(
    data: Path, tmp_path: Path, arguments: list[str], keys: list[str]
) -> None:
    given = [str(data) if word == "DATA" else word for word in arguments]
    done = call("run", *given, "--out", str(tmp_path / "out"))
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == keys, done.stderr
    assert not (tmp_path / "out").exists()


def test_a_setting_that_cannot_be_used_is_named(home: Path) -> None:
    done = call("templates", STATGROVE_TOKEN="short", STATGROVE_WORKERS="many")
    assert done.returncode == 2
    said = done.stderr.splitlines()
    assert [line.split()[2] for line in said] == ["STATGROVE_TOKEN", "STATGROVE_WORKERS"]
    assert "at least 16 characters" in said[0]


def test_what_the_rows_forbid_leaves_no_run_behind(data: Path, tmp_path: Path) -> None:
    inputs = "{'y': 'y', 'how': 'check'}"
    done = call("run", "Trial", "--dataset", str(data), "--inputs", inputs, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "y: Two rows differ."
    with db.session() as session:
        assert runs.recent(session) == []


def test_a_failed_run_is_1(data: Path, tmp_path: Path) -> None:
    inputs = "{'y': 'y', 'how': 'raise'}"
    done = call("run", "Trial", "--dataset", str(data), "--inputs", inputs, "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "the kettle is empty" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_130_and_keeps_what_is_drawn(data: Path, tmp_path: Path, how: signal.Signals) -> None:
    inputs, out = "{'y': 'y', 'how': 'held', 'iterations': '200', 'nchains': '1'}", tmp_path / "out"
    process = start("run", "Trial", "--dataset", str(data), "--inputs", inputs, "--out", str(out))

    def drawing() -> bool:
        with db.session() as session:
            found = runs.recent(session)
        return bool(found and (found[0].progress.get("chains") or [[0]])[0][0] == 100)

    wait_for(drawing)
    process.send_signal(how)
    process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert 100 <= int((out / "Means.csv").read_text().split()[1].split(",")[1]) < 200
    assert (out / "manifest.json").is_file()
    with db.session() as session:
        assert runs.recent(session)[0].state == "cancelled"


def test_interrupted_though_it_does_not_listen(data: Path, tmp_path: Path) -> None:
    inputs = "{'y': 'y', 'how': 'deaf'}"
    arguments = ["run", "Trial", "--dataset", str(data), "--inputs", inputs, "--out", str(tmp_path / "out")]
    process = start(*arguments, STATGROVE_CANCEL_GRACE="1")

    def running() -> bool:
        with db.session() as session:
            found = runs.recent(session)
        return bool(found and found[0].progress.get("step") == "Sampling")

    wait_for(running)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    with db.session() as session:
        assert runs.recent(session)[0].state == "cancelled"


def test_an_earlier_result_is_replaced_as_a_whole(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    (out / "old.csv").write_text("a\n")
    (out / "manifest.json").write_text(json.dumps({"artifacts": [{"file": "old.csv"}, {"file": "../school.csv"}]}))
    assert call("run", "Trial", "--dataset", str(data), "--inputs", QUICK, "--out", str(out)).returncode == 0
    assert (out / "mine.txt").is_file()
    assert not (out / "old.csv").exists()
    assert data.is_file()


def test_out_that_cannot_be_written_is_told_before_the_run(data: Path) -> None:
    done = call("run", "Trial", "--dataset", str(data), "--inputs", QUICK, "--out", str(data))
    assert (done.returncode, done.stderr.split(":")[0]) == (2, "--out")
    with db.session() as session:
        assert runs.recent(session) == []


def test_templates_and_questions(data: Path) -> None:
    listed = call("templates")
    assert listed.returncode == 0
    assert "Trial" in listed.stdout
    assert call("questions", "2LevelMod").stdout.startswith("2LevelMod:")
    asked = call("questions", "Trial", "--dataset", str(data), "--inputs", "{'how': 'well'}")
    assert asked.returncode == 0, asked.stderr
    assert "school, y, x" in asked.stdout
    assert "= well" in asked.stdout
    wrong = call("questions", "Trial", "--dataset", str(data), "--inputs", "{'how': 'ill', 'z': '1'}")
    assert wrong.returncode == 2
    assert [line.split(":")[0] for line in wrong.stderr.splitlines()] == ["how", "z"]
    assert call("--version").stdout.startswith("statgrove ")


def test_listing_templates_loads_nothing_heavy() -> None:
    """So that it answers at once; and the web process, too, must come up without the numerics."""
    heavy = "{'numba', 'scipy', 'matplotlib', 'torch', 'arviz_stats'}"
    for light, more in (
        ("app.cli; app.cli.main(['templates'])", "| {'pandas', 'sqlalchemy', 'celery'}"),
        ("app.main", ""),
    ):
        script = f"import sys; import {light}\nfound = {{m.split('.')[0] for m in sys.modules}} & ({heavy} {more})\n"
        command = [sys.executable, "-c", script + "assert not found, found"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_python_takes_a_frame_and_tells_what_is_wrong(home: Path) -> None:
    import pandas

    from statgrove import RunFailed, RunStatJR
    from templates_engine.problems import Refused

    frame = pandas.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0, 1, 0]})
    result = RunStatJR("Trial", frame, {"y": "y", "iterations": 5})
    assert result.state == "done"
    assert result.tables["Means"]["kept"].tolist() == [5]
    with pytest.raises(Refused) as refused:
        RunStatJR("Trial", frame, {"y": "yy", "z": 1})
    assert {p.key for p in refused.value.problems} == {"y", "z"}
    with pytest.raises(RunFailed, match="kettle"):
        RunStatJR("Trial", frame, {"y": "y", "how": "raise"})


def test_how_a_file_is_read_is_told_and_shown(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("school;x\n007;1,234\n07;2,345\n")
    done = call("questions", "SummaryStats", "--dataset", str(file), "--read", "kind:school=number")
    assert "one of: school, x" in done.stdout, done.stderr
    assert "school: read as numbers, as told" in done.stderr
    wrong = call("questions", "SummaryStats", "--dataset", str(file), "--read", "decimal=dot")
    assert wrong.returncode == 2
    assert "accepted are point, comma" in wrong.stderr
