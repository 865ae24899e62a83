"""Artifacts on disk: names, bytes, manifest and zip."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from templates_engine.data.dataset import Dataset
from templates_engine.outputs import Draws, Table
from templates_engine.running.store import Store, as_csv, as_json, draws_dataset, file_name, load_draws, write_zip

RESULTS = Table(("parameter", "estimate"), (("beta_0", 0.1), ("beta_1", None)), "Results", ("A note.",))


@pytest.mark.parametrize(
    ("name", "extension", "file"),
    [
        ("ResultsTable:Imputation", ".csv", "ResultsTable_Imputation.csv"),
        ("Imputation_Model_beta_0.svg", ".svg", "Imputation_Model_beta_0.svg"),
        ("omega_u 2[1]", ".svg", "omega_u_2_1_.svg"),
        ("script.py", ".txt", "script.py"),
        ("Inputs", ".txt", "Inputs.txt"),
        ("sigma.5", ".svg", "sigma.5.svg"),  # ".5" is no extension
        ("2LevelImpute_equation.tex", ".txt", "2LevelImpute_equation.tex"),
        ("längd", ".csv", "l_ngd.csv"),
    ],
)
def test_a_file_is_named_as_documented(name: str, extension: str, file: str) -> None:
    """Other programs find outputs by these names."""
    assert file_name(name, extension) == file


@given(st.text(max_size=300))
def test_no_name_leaves_the_folder(name: str) -> None:
    """Whatever an artifact is called, its file is one plain name in the run's folder."""
    file = file_name(name, ".csv")
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", file)
    assert file not in (".", "..")
    assert len(file.encode()) <= 200
    assert Path(file).name == file


def test_a_hostile_name_is_written_inside(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    made = store.text("../../etc/passwd", "x")[0]
    assert store.path(made).resolve().is_relative_to((tmp_path / "run").resolve())
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_survive_both_formats_to_the_last_bit(x: float) -> None:
    """CSV and JSON give back the very same double; what is not finite is empty, so JSON stays strict."""
    table = Table(("x",), ((x,),))
    cell = list(csv.reader(io.StringIO(as_csv(table).decode())))[1]
    plain = json.loads(as_json(table), parse_constant=pytest.fail)["rows"][0][0]
    if np.isfinite(x):
        assert float(cell[0]) == x
        assert plain == x
    else:
        assert (cell or [""]) == [""]
        assert plain is None


def test_text_that_a_spreadsheet_would_run_is_defused() -> None:
    """CSV injection: a cell of text that starts a formula gets an apostrophe; negative numbers do not."""
    rows = [["=1+1", -0.5, "-0.41"], ["@cmd", 3, "a,b"]]
    table = Table(("a", "b", "c"), tuple(tuple(r) for r in rows))
    assert list(csv.reader(io.StringIO(as_csv(table).decode())))[1:] == [
        ["'=1+1", "-0.5", "-0.41"],
        ["'@cmd", "3", "a,b"],
    ]
    assert json.loads(as_json(table))["rows"] == rows


def test_a_table_is_two_files_and_two_entries(tmp_path: Path) -> None:
    """The manifest's shape is read by other programs: exactly these keys, the table as .csv and .json."""
    store = Store(tmp_path)
    store.table("ResultsTable:Imputation", RESULTS)
    written = json.loads(store.write_manifest().read_text())
    assert [set(entry) for entry in written["artifacts"]] == [{"name", "file", "kind", "title", "sha256"}] * 2
    assert [(e["name"], e["file"], e["kind"]) for e in written["artifacts"]] == [
        ("ResultsTable:Imputation", "ResultsTable_Imputation.csv", "table"),
        ("ResultsTable:Imputation.json", "ResultsTable_Imputation.json", "table"),
    ]
    for entry in written["artifacts"]:
        assert hashlib.sha256((tmp_path / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert json.loads((tmp_path / "ResultsTable_Imputation.json").read_text()) == {
        "title": "Results",
        "columns": ["parameter", "estimate"],
        "rows": [["beta_0", 0.1], ["beta_1", None]],
        "notes": ["A note."],
    }


def test_names_that_would_meet_in_one_file_are_kept_apart(tmp_path: Path) -> None:
    """Nothing is lost when two names give one file, also where a file system ignores case."""
    store = Store(tmp_path)
    for name in ("a:b", "a_b", "A_B", "manifest.json"):
        store.text(name, f"this is {name}")
    files = {a.name: a.file for a in store.artifacts}
    assert len({f.lower() for f in files.values()} | {"manifest.json"}) == 5
    assert all((tmp_path / files[name]).read_text() == f"this is {name}" for name in files)
    assert store.write_manifest().name == "manifest.json"


def test_the_same_output_again_changes_nothing_another_is_kept_beside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for text in ("one", "one", "two"):
        store.text("Inputs", text)
    assert {a.name: (tmp_path / a.file).read_text() for a in store.artifacts} == {"Inputs": "one", "Inputs-2": "two"}


def _everything(folder: Path) -> Store:
    store = Store(folder)
    rng = np.random.default_rng(1)
    draws = Draws(("beta_0", "omega_u 2[1]"), ("cons", ""), rng.normal(size=(2, 5, 2)), first=11, thin=2)
    data = Dataset("d", {"x": np.array([1.0, np.nan, 0.1])})
    store.table("T", RESULTS)
    store.dataset("impute_datafile_chain0_iter1000", data, also=("Imputation_Model_x",), listed=True)
    store.draws("out", draws)
    store.text("model_equation.tex", "y = x")
    return store


def test_a_run_repeated_gives_the_same_bytes(tmp_path: Path) -> None:
    """Every file and the bundle depend on the content alone: no clock, no random name, whatever the folder."""
    bundles = []
    for folder in ("first", "second"):
        store = _everything(tmp_path / folder)
        store.write_zip(tmp_path / f"{folder}.zip", "run-1")
        bundles.append((tmp_path / f"{folder}.zip").read_bytes())
    assert bundles[0] == bundles[1]


def test_the_bundle_holds_what_the_manifest_lists_in_one_folder(tmp_path: Path) -> None:
    store = _everything(tmp_path / "run")
    store.expect("beta_0.svg", kind="figure", extension=".svg")  # never drawn: not in the bundle
    out = io.BytesIO()
    store.write_zip(out, "../run 1")
    with zipfile.ZipFile(out) as bundle:
        names = bundle.namelist()
        assert {n.split("/")[0] for n in names} == {"_run_1"}
        listed = json.loads(bundle.read("_run_1/manifest.json"))["artifacts"]
        assert sorted(names) == sorted(["_run_1/manifest.json", *(f"_run_1/{e['file']}" for e in listed)])
        for entry in listed:
            assert hashlib.sha256(bundle.read(f"_run_1/{entry['file']}")).hexdigest() == entry["sha256"]
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".")]  # no scratch files left


def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    run = tmp_path / "run"
    run.mkdir()
    (run / "link.txt").symlink_to(tmp_path / "secret.txt")
    for file in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt"):
        (run / "manifest.json").write_text(json.dumps({"artifacts": [{"file": file}]}))
        with pytest.raises(ValueError, match="not a file of this bundle"):
            write_zip(run, tmp_path / "out.zip", "x")
    assert not (tmp_path / "out.zip").exists()


def test_a_second_name_is_the_same_content(tmp_path: Path) -> None:
    """`also` gives the same dataset a second name; only the first joins the list of datasets, with its rows."""
    store = _everything(tmp_path)
    first, second = store["impute_datafile_chain0_iter1000"], store["Imputation_Model_x"]
    assert (first.file, second.file) == ("impute_datafile_chain0_iter1000.dta", "Imputation_Model_x.dta")
    assert store.path(first).read_bytes() == store.path(second).read_bytes()
    assert (first.listed, second.listed) == (True, False)
    assert first.content["x"][2] == 0.1
    store.path(second).unlink()
    assert store.path(first).exists()


def test_draws_come_back_as_they_were(tmp_path: Path) -> None:
    """The .npz that pictures can be drawn from again holds the draws to the last bit."""
    store = _everything(tmp_path)
    back = load_draws(store.path("out.npz"))
    values = np.random.default_rng(1).normal(size=(2, 5, 2))
    np.testing.assert_array_equal(back.values, values)
    assert (back.parameters, back.variables) == (("beta_0", "omega_u 2[1]"), ("cons", ""))
    assert (back.first, back.thin) == (11, 2)


def test_draws_as_a_dataset_are_labelled_by_iteration_and_chain() -> None:
    values = np.arange(8.0).reshape(2, 2, 2)
    values[0, 0, 1] = np.inf
    data = draws_dataset("out", Draws(("omega_u 2", "omega_u[2"), ("", ""), values, first=101, thin=10))
    assert data.names == ("iteration", "chain", "omega_u_2", "omega_u_2_2")
    assert data["iteration"].tolist() == [101, 111, 101, 111]
    assert data["chain"].tolist() == [0, 0, 1, 1]
    assert data["omega_u_2"].tolist() == [0, 2, 4, 6]
    np.testing.assert_array_equal(data["omega_u_2_2"], [np.nan, 3, 5, 7])


def test_several_threads_may_write(tmp_path: Path) -> None:
    """Children that run side by side share one store."""
    store = Store(tmp_path)
    threads = [
        threading.Thread(target=lambda k=k: [store.text(f"t{k}_{i}", f"{k} {i}") for i in range(20)]) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.artifacts) == 80
    assert len({a.order for a in store.artifacts}) == 80
    assert all(store.path(a).read_text() == a.name[1:].replace("_", " ") for a in store.artifacts)
