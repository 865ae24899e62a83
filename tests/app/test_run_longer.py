"""Protects: a run made longer gives, byte for byte, what one run of the whole length gives; what cannot be is refused.

Every file of a run is compared: draws, tables, residuals, pictures, inputs, script.
"""

from __future__ import annotations

import io
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beside import KEY
from fastapi.testclient import TestClient
from run_service import ask_for, end_all, forget, look, quick, start, stop, until, wait_for

import statgrove
from app import cli, datasets, db, folders, queue, runs
from app.main import create_app
from app.models import Dataset, Run
from templates_engine import registry
from templates_engine.problems import Refused
from templates_engine.running import kept_chains
from templates_engine.running.job import Job
from templates_engine.sampling import saving

MODEL = {"y": "y", "x": "cons,x", "L2ID": "school", "nchains": "2", "seed": "7", "burnin": "60"}
NORMAL = {**MODEL, "D": "Normal"}


def rows() -> str:
    """90 rows in 12 schools and 4 areas, with responses of several kinds and one column with gaps."""
    rng = np.random.default_rng(5)
    school = rng.integers(0, 12, 90)
    x, e = rng.normal(size=(2, 90))
    y = 0.5 * x + rng.normal(size=12)[school] + e
    gaps = np.where(rng.random(90) < 0.2, np.nan, x)
    lines = ["school,area,cons,x,gap,y,pass,count"]
    for i in range(90):
        gap = "" if np.isnan(gaps[i]) else f"{gaps[i]:.3f}"
        count = rng.poisson(np.exp(0.3 * x[i]))
        lines.append(f"{school[i]},{school[i] % 4},1,{x[i]:.3f},{gap},{y[i]:.3f},{int(e[i] > 0)},{count}")
    return "\n".join(lines) + "\n"


def data() -> Dataset:
    with db.session() as session:
        return datasets.upload(session, "pupils.csv", io.BytesIO(rows().encode()))


def ask(answers: dict[str, str], template: str = "2LevelMod", **more: str) -> int:
    """A run on the trial data, carried out here unless it is left in the queue; its number."""
    with db.session() as session:
        return runs.submit(session, template, data(), {**answers, **more}, origin="test").id


def carried_out(answers: dict[str, str], template: str = "2LevelMod", **more: str) -> int:
    number = ask(answers, template, **more)
    queue.run_here(number, 0)
    assert look(number).state == "done", look(number).message + look(number).trace
    return number


def longer(number: int, more: int | None = None) -> int:
    """Make a run longer and carry the new one out; its number."""
    with db.session() as session:
        new = runs.longer(session, number, more, origin="test").id
    queue.run_here(new, 0)
    assert look(new).state == "done", look(new).message + look(new).trace
    return new


def files(number: int) -> dict[str, str]:
    """SHA-256 of everything that a run gave, by name."""
    with db.session() as session:
        found = {one.name: one.sha256 for one in runs.artifacts(session, look(number))}
    assert len(found) > 10
    assert all(found.values()), "a picture was not drawn"
    return found


def assert_alike(one: int, other: int) -> None:
    a, b = files(one), files(other)
    assert sorted(a) == sorted(b)
    assert [name for name in a if a[name] != b[name]] == []
    assert look(one).spec_hash == look(other).spec_hash


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "worker" not in request.fixturenames:
        monkeypatch.setattr(queue, "send", lambda *_: True)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take ten times as long as all the rest, and are drawn from the draws that are compared."""
    monkeypatch.setattr(Job, "diagnostics", lambda *_, **__: None)


@pytest.fixture
def went_on(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many sweeps the chains went on, one by one."""
    sweeps: list[int] = []
    real = Job.saved

    def saved(job: Job, sampler: str) -> list[saving.Saved] | None:
        found = real(job, sampler)
        sweeps.extend(chain.sweeps for chain in found or [])
        return found

    monkeypatch.setattr(Job, "saved", saved)
    return sweeps


FLAT = {k: v for k, v in MODEL.items() if k != "L2ID"}
CLASSES = FLAT | {"numclass": "2", "C1": "school", "C2": "area"}
IMPUTE = {"numlevs": "Yes", "L2ID": "school", "MOIlevel": "2 levels", "MOIdist": "Normal", "MOIslope": "No",
          "y": "y", "x": "cons,gap",
          "yimp1": "y,gap", "bin1_1": "Normal", "bin1_2": "Normal", "ximp1_0": "cons", "want2": "No",
          "imputefirst": "40", "imputeevery": "10",
          "nchains": "2", "seed": "7", "burnin": "60", "iterations": "50"}  # fmt: skip
LENGTHS = ("iterations", 200, 300)
# template, answers, the answer that grows, its value, how much it grows
CASES: dict[str, tuple[str, dict[str, str], tuple[str, int, int]]] = {
    "Regression1": ("Regression1", FLAT | {"x": "cons"}, LENGTHS),
    "1LevelMod, Normal": ("1LevelMod", FLAT | {"D": "Normal"}, LENGTHS),
    "1LevelMod, Poisson": ("1LevelMod", FLAT | {"D": "Poisson", "y": "count"}, LENGTHS),
    "2LevelMod, Normal": ("2LevelMod", NORMAL, LENGTHS),
    "2LevelMod, Binomial": ("2LevelMod", MODEL | {"D": "Binomial", "y": "pass", "n": "cons"}, LENGTHS),
    "2LevelMod, Negative binomial": ("2LevelMod", MODEL | {"D": "Negative binomial", "y": "count"}, LENGTHS),
    "2LevelRS, Normal": ("2LevelRS", NORMAL | {"x2": "cons,x"}, LENGTHS),
    "2LevelRS, Poisson": ("2LevelRS", MODEL | {"D": "Poisson", "y": "count", "x2": "cons,x"}, LENGTHS),
    "NLevelMod, Normal": ("NLevelMod", CLASSES | {"D": "Normal"}, LENGTHS),
    "NLevelMod, Poisson": ("NLevelMod", CLASSES | {"D": "Poisson", "y": "count"}, LENGTHS),
    "NLevelRS, Normal": ("NLevelRS", CLASSES | {"D": "Normal", "x2_1": "cons,x", "x2_2": "cons"}, LENGTHS),
    "2LevelImpute": ("2LevelImpute", IMPUTE, ("numimpute", 2, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_so_many_and_then_more_are_all_at_once(
    home: object, case: str, request: pytest.FixtureRequest, went_on: list[int]
) -> None:
    """200 iterations and then 300 are 500, 2 imputations and then 3 are 5: nothing is drawn anew, nothing differs."""
    template, answers, (key, first, more) = CASES[case]
    if case != "Regression1":
        request.getfixturevalue("no_pictures")
    short = carried_out(answers, template, **{key: str(first)})
    before = files(short)
    went_on.clear()
    new = longer(short, more)
    assert len(went_on) == 2
    assert min(went_on) == 60 + 200 if key == "iterations" else min(went_on) > 60
    assert look(new).answers[key] == str(first + more)
    assert look(new).continues == short
    assert_alike(new, carried_out(answers, template, **{key: str(first + more)}))
    assert files(short) == before  # a finished run never changes


@pytest.mark.usefixtures("no_pictures")
def test_a_run_made_longer_can_be_made_longer(database: str) -> None:
    """On both databases."""
    first = carried_out(NORMAL, iterations="100", thinning="3")
    third = longer(longer(first, 150), 250)
    assert_alike(third, carried_out(NORMAL, iterations="500", thinning="3"))
    assert look(longer(first)).answers["iterations"] == "200"  # as long again, when no number is given
    with db.session() as session:
        assert [run.answers["iterations"] for run in runs.followers(session, look(first))] == ["250", "200"]


def cancelled(answers: dict[str, str], there: threading.Event, **more: str) -> int:
    """A run that was stopped when its chains were `there`, in their middle, what it had drawn kept; its number."""
    number = ask(answers, **more)
    thread = threading.Thread(target=queue.run_here, args=(number, 0))
    thread.start()
    wait_for(lambda: there.is_set() or not thread.is_alive())
    wait_for(lambda: look(number).ended or any(done for done, _ in look(number).progress.get("chains") or []))
    with db.session() as session:
        runs.cancel(session, number)
    thread.join()
    assert look(number).state == "cancelled", look(number).message + look(number).trace
    return number


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_was_stopped_is_finished(home: object, held: Callable[..., threading.Event]) -> None:
    """Wherever the stop fell; and going on beyond what was asked for finishes it too."""
    length = {"iterations": "4000", "thinning": "4"}
    number = cancelled(NORMAL, held(20_000, 30_000), **length)
    kept = kept_chains.unpack(folders.state(look(number)), registry.get("2LevelMod"))
    sweeps = [chain.sweeps for chain in kept["chains"]]
    assert 60 + 100 < sweeps[0] < 60 + 4000, "it was not stopped in the middle"
    assert len(set(sweeps)) == 2, "the chains were stopped at one place"
    whole = carried_out(NORMAL, **length)
    assert_alike(longer(number), whole)
    assert_alike(longer(number, 400), carried_out(NORMAL, iterations="4400", thinning="4"))


@pytest.mark.usefixtures("no_pictures")
def test_with_a_stopping_rule_the_number_counts_from_where_it_stopped(home: object) -> None:
    rule = {"stopping": "When the targets are met", "maxrhat": "1.05", "miness": "700", "maxminutes": "5"}
    number = carried_out(NORMAL, iterations="300", **rule)
    with db.session():
        there = runs.standing(look(number))
        assert there is not None
        assert there.reached > 300
        assert [p["code"] for p in look(number).problems] == ["targets-met"]
    new = look(longer(number, 100))
    assert new.answers["iterations"] == str(there.reached + 100)
    assert new.answers["stopping"] == "After the iterations"
    assert not {"maxrhat", "miness", "maxminutes"} & set(new.answers)
    assert_alike(new.id, carried_out(NORMAL, iterations=new.answers["iterations"]))


# What cannot be made longer


def refused(number: int, more: int | None = 10) -> str:
    with db.session() as session, pytest.raises(Refused) as caught:
        runs.longer(session, number, more)
    (problem,) = caught.value.problems
    return problem.code


def change(number: int, **values: object) -> None:
    with db.session() as session:
        run = session.get(Run, number)
        for name, value in values.items():
            setattr(run, name, value)
        session.commit()


@pytest.mark.usefixtures("no_pictures")
def test_what_cannot_be_made_longer_says_why(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = carried_out(NORMAL, iterations="100")
    assert refused(77) == refused(10**12) == "unknown-run"
    assert refused(ask(NORMAL, iterations="100")) == "not-ended"
    assert refused(number, 0) == refused(number, -1) == "more"
    assert refused(number, 10**7) == "out-of-range"
    trial = ask_for(enqueue=False)
    queue.run_here(trial.id, 0)
    assert refused(trial.id) == "no-state"  # a template that keeps none
    change(trial.id, parent_id=number)
    assert refused(trial.id) == "child"
    change(number, state="failed")
    assert refused(number) == "failed"
    change(number, state="done")
    with monkeypatch.context() as patch:
        patch.setattr(kept_chains, "program", lambda _: "another")
        assert refused(number) == "other-program"
    right, wrong = look(number).version, look(number).dataset_sha256[::-1]
    change(number, version="0")
    assert refused(number) == "other-program"
    change(number, version=right, dataset_sha256=wrong)
    assert refused(number) == "other-data"
    digest = look(number).spec_hash
    change(number, dataset_sha256=wrong[::-1], spec_hash=digest[::-1])  # as when another dataset in it has changed
    assert refused(number) == "other-data"
    change(number, spec_hash=digest, dataset_id=None)
    assert refused(number) == "no-dataset"
    before = folders.state(look(number))
    before.write_bytes(b"PK not a zip")
    assert refused(number) == "no-state"
    before.unlink()
    assert refused(number) == "no-state"
    with db.session() as session:
        assert len(runs.recent(session)) == 2  # none of this made a run


@pytest.mark.usefixtures("no_pictures")
def test_when_the_chains_are_gone_by_then_the_run_fails_and_says_so(home: object) -> None:
    number = carried_out(NORMAL, iterations="100")
    with db.session() as session:
        new = runs.longer(session, number, 50).id
    folders.state(look(number)).unlink()
    queue.run_here(new, 0)
    assert look(new).state == "failed"
    assert f"The chains of run {number}" in look(new).message
    assert look(new).trace == ""


# Every way of asking


def same_files(folder: Path, number: int) -> None:
    """What was written into a folder is what that run gave."""
    listed = json.loads((folder / "manifest.json").read_text())["artifacts"]
    assert {one["name"]: one["sha256"] for one in listed} == files(number)


@pytest.fixture
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("home", "no_pictures", "signals")
def test_from_the_shell_and_from_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pupils.csv").write_text(rows())
    model = str(NORMAL | {"iterations": "100"})
    chosen = ["--dataset", str(tmp_path / "pupils.csv"), "--inputs", model, "--out", str(tmp_path / "a")]
    assert cli.main(["run", "2LevelMod", *chosen]) == 0
    number = capsys.readouterr().out.split(":")[0].removeprefix("run ")
    assert cli.main(["longer", number, "--more", "60", "--out", str(tmp_path / "b")]) == 0
    middle = statgrove.RunLonger(int(number), 20, out=tmp_path / "c")
    assert "ModelResults" in middle.tables
    last = middle.longer(40)
    with db.session() as session:
        listed = [(run.id, run.origin, run.continues) for run in runs.recent(session)]
    assert listed == [(4, "python", 3), (3, "python", 1), (2, "cli", 1), (1, "cli", None)]
    same_files(tmp_path / "b", 2)
    same_files(tmp_path / "c", middle.run)
    assert_alike(last.run, 2)  # 100 + 60, and 100 + 20 + 40
    capsys.readouterr()
    assert cli.main(["longer", number, "--more", "0"]) == 2
    assert capsys.readouterr().err.startswith("more: ")
    assert cli.main(["longer", "77"]) == 2
    assert cli.main(["longer", number, "--quiet"]) == 0  # no folder: it says where the files are
    assert Path(capsys.readouterr().out.split(": ")[1].strip()).is_dir()


@pytest.fixture
def client(home: object) -> Iterator[TestClient]:
    with TestClient(create_app(), headers=KEY, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
        yield one


@pytest.mark.usefixtures("no_pictures")
def test_over_rest(client: TestClient) -> None:
    number = carried_out(NORMAL, iterations="200")
    address = f"/api/v1/runs/{number}/longer"
    answer = client.post(address, json={"more": 300})
    assert answer.status_code == 202
    run: dict[str, Any] = answer.json()
    assert (run["state"], run["continues"], run["origin"]) == ("queued", number, "api")
    queue.run_here(run["id"], 0)
    assert_alike(run["id"], carried_out(NORMAL, iterations="500"))
    assert client.get(f"/api/v1/runs/{number}").json()["continues"] is None
    assert client.post(address).json()["answers"]["iterations"] == "400"
    for body in ({"more": 0}, {"more": -3}, {"more": 1.5}, {"more": "ten"}, {"more": 10**9}, {"much": 1}):
        assert client.post(address, json=body).status_code == 422, body
    assert client.post("/api/v1/runs/77/longer", json={"more": 5}).status_code == 404
    queued = client.post(f"/api/v1/runs/{run['id'] + 2}/longer")
    assert (queued.status_code, queued.json()["error"]["code"]) == (409, "not-ended")
    assert "POST /api/v1/runs/{run_id}/longer" in client.get("/api/docs").text


@pytest.fixture(params=["sqlite", "postgresql"])
def worker(request: pytest.FixtureRequest, home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A worker in a process of its own."""
    quick(monkeypatch)
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres"))
    forget()
    db.upgrade()
    process = start("worker", "--concurrency", "1")
    yield request.param
    said = stop(process)
    end_all()
    assert "Traceback" not in said, said


def test_a_worker_goes_on_from_what_another_has_kept(worker: str) -> None:
    short = FLAT | {"D": "Normal", "x": "cons", "nchains": "1"}
    number = ask(short, "1LevelMod", iterations="100")
    assert until(number, "done", "failed").state == "done"
    with db.session() as session:
        new = runs.longer(session, number, 50).id
    assert until(new, "done", "failed").state == "done", look(new).message
    whole = ask(short, "1LevelMod", iterations="150")
    assert until(whole, "done", "failed").state == "done", look(whole).message
    assert_alike(new, whole)
