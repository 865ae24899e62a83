"""What a Dataset promises: it does not change, it hashes its content, it describes and stores itself exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from templates_engine.data.dataset import Dataset, code_text
from templates_engine.data.gaps import missing_patterns
from templates_engine.data.schema import Schema
from templates_engine.problems import Refused

NAN = float("nan")


@pytest.fixture
def small() -> Dataset:
    columns = {
        "school": [2.0, 10.0, 2.0, 10.0],
        "score": [1.5, NAN, 0.25, -1.0],
        "place": np.array(["b", "", "a", "b"]),
        "cons": [1.0, 1.0, 1.0, 1.0],
        "none": [NAN] * 4,
        "girl": [0.0, 1.0, NAN, 0.0],
    }
    return Dataset("small", columns, {"girl": {"0": "boy", "1": "girl"}}, {"score": "The score"}, ("a note",))


def test_columns_cannot_be_changed_and_do_not_follow_their_source() -> None:
    """Protects every other holder of the same column: chains in threads share them."""
    source = np.array([1.0, 2.0])
    data = Dataset("d", {"x": source, "y": source[:]})
    source[0] = 99.0
    assert data["x"].tolist() == [1.0, 2.0] == data["y"].tolist()
    with pytest.raises(ValueError, match="read-only"):
        data["x"][0] = 5.0
    assert data.with_columns(z=[1, 2])["x"] is data["x"], "columns are shared, not copied"


def test_integers_and_truth_values_become_floats_and_texts_stay_texts() -> None:
    data = Dataset("d", {"i": np.arange(2), "b": np.array([True, False]), "t": ["x", ""]})
    assert [data[c].dtype.kind for c in data.names] == ["f", "f", "U"]
    with pytest.raises(ValueError, match="different lengths"):
        Dataset("d", {"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="one dimension"):
        Dataset("d", {"a": np.zeros((2, 2))})


def test_schema_says_kind_counts_and_summaries(small: Dataset) -> None:
    """The variable list of the page and every question's `where` read these."""
    schema = small.schema()
    assert {c.name: c.kind for c in schema.columns} == {
        "school": "binary",
        "score": "number",
        "place": "text",
        "cons": "constant",
        "none": "empty",
        "girl": "binary",
    }
    score = schema["score"]
    assert (score.n, score.n_missing, score.minimum, score.maximum) == (4, 1, -1.0, 1.5)
    assert score.mean == pytest.approx(0.25)
    assert score.sd == pytest.approx(np.sqrt((1.25**2 + 0 + 1.25**2) / 2)), "divisor n - 1"
    assert schema["place"].levels == ("a", "b")
    assert schema["place"].n_missing == 1
    assert (schema["none"].n_missing, schema["none"].mean, schema["none"].levels) == (4, None, ())
    assert schema["girl"].labels == {"0": "boy", "1": "girl"}
    assert schema["score"].title == "The score"
    assert Schema.from_dict(schema.as_dict()).names == schema.names
    whole = Dataset("w", {"k": [1.0, 2.0, 3.0]}).schema()["k"]
    assert (whole.kind, whole.levels) == ("whole", (1.0, 2.0, 3.0))
    assert Dataset("w", {"k": np.arange(101.0)}).schema()["k"].levels == ()


def test_hash_is_of_the_content(small: Dataset) -> None:
    """The same values under another dataset name are the same data; anything else is not."""
    same = Dataset("other name", {n: small[n].copy() for n in small.names}, notes=("read elsewhere",))
    assert same.sha256() == small.sha256()
    wider = small.with_columns(place=small["place"].astype("<U30"))
    assert wider.sha256() == small.sha256(), "the width of the text array is no content"
    odd_nan = small.with_columns(none=np.full(4, np.uint64(0x7FF8000000000123)).view(np.float64))
    assert odd_nan.sha256() == small.sha256(), "which NaN it is, is no content"
    others = [
        small.select(["score", "school", "place", "cons", "none", "girl"]),
        small.rename({"score": "mark"}),
        small.take([1, 0, 2, 3]),
        small.with_columns(score=[1.5, NAN, 0.25, -1.0000000000000002]),
        small.with_columns(place=["ba", "", "", "b"]),
        small.with_columns(none=[""] * 4),
    ]
    assert len({d.sha256() for d in [small, *others]}) == len(others) + 1


def test_groups_are_in_the_order_of_their_sorted_label(small: Dataset) -> None:
    """Numbers by size, so that school 2 comes before school 10; a row without a group is refused by name."""
    codes, labels = small.groups("school")
    assert (codes.tolist(), labels, codes.dtype) == ([0, 1, 0, 1], ["2", "10"], np.int64)
    with pytest.raises(Refused, match=r"place says which group .* 1 of 4 rows .*\(row 2\)"):
        small.groups("place")


def test_taking_rows_and_columns(small: Dataset) -> None:
    assert small.complete_cases(["score", "place"])["score"].tolist() == [1.5, 0.25, -1.0]
    assert small.complete_cases(["cons"]) is small
    assert small.take([3, 3])["score"].tolist() == [-1.0, -1.0]
    assert small.take(slice(1, 3)).n_rows == 2
    assert small.take([]).n_rows == 0
    assert small.take(np.zeros(4, bool)).schema()["score"].kind == "empty"
    renamed = small.rename({"girl": "female"})
    assert renamed.names == ("school", "score", "place", "cons", "none", "female")
    assert renamed.labels["female"] == {"0": "boy", "1": "girl"}
    for wrong in ({"absent": "x"}, {"girl": "score"}):
        with pytest.raises(ValueError):
            small.rename(wrong)


def test_saved_and_loaded_again_it_is_the_same(small: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    small.save(path)
    again = Dataset.load(path)
    assert again.sha256() == small.sha256()
    assert (again.name, again.labels, again.titles, again.notes) == (
        small.name,
        small.labels,
        small.titles,
        small.notes,
    )
    assert not again["score"].flags.writeable
    assert [p.name for p in tmp_path.iterdir()] == ["d.npz"], "no temporary file is left"


def test_a_damaged_store_file_is_refused_and_pickles_are_not_opened(small: Dataset, tmp_path: Path) -> None:
    """A pickle in the store would run code."""
    path = tmp_path / "d.npz"
    small.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Refused, match=r"d\.npz is damaged"):
        Dataset.load(path)
    np.savez(path, about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Refused, match="damaged"):
        Dataset.load(path)
    with pytest.raises(FileNotFoundError):
        Dataset.load(tmp_path / "absent.npz")


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(allow_nan=True, allow_infinity=True), TEXTS), min_size=1, max_size=6))
def test_any_values_survive_the_store(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]]) -> None:
    data = Dataset("d", {"x": [r[0] for r in rows], "t": np.array([r[1] for r in rows], dtype=str)})
    path = tmp_path_factory.getbasetemp() / "any.npz"
    data.save(path)
    again = Dataset.load(path)
    assert again["x"].tobytes() == data["x"].tobytes()
    assert again["t"].tolist() == data["t"].tolist()


def test_codes_are_written_as_people_write_them() -> None:
    assert [code_text(v) for v in (1.0, -3.0, 1.5, "a", 0.1)] == ["1", "-3", "1.5", "a", "0.1"]


def test_missing_patterns_count_the_rows_of_each(small: Dataset) -> None:
    """Compared with counting by hand; 20 columns need more than one byte of bits."""
    assert missing_patterns(small, ["score", "girl"]) == [
        ((False, False), 2),
        ((False, True), 1),
        ((True, False), 1),
    ]
    rng = np.random.default_rng(3)
    gaps = rng.random((200, 20)) < 0.1
    data = Dataset("g", {f"x{i}": np.where(gaps[:, i], NAN, 1.0) for i in range(20)})
    found = missing_patterns(data)
    assert dict(found) == {tuple(row): int((gaps == row).all(axis=1).sum()) for row in np.unique(gaps, axis=0).tolist()}
    assert [n for _, n in found] == sorted((n for _, n in found), reverse=True)


def test_the_schema_and_the_readers_entrance_need_no_numerics() -> None:
    """Asking questions must stay light: numpy, pandas and scipy are not loaded for it."""
    code = (
        "import sys, templates_engine.data.schema, templates_engine.data.readers;"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_summary_of_values_near_the_largest_is_finite() -> None:
    """Squares beyond what doubles hold: the standard deviation of a, -a is a times the square root of 2."""
    column = Dataset("d", {"x": [1e300, -1e300], "y": [1.7e308, 1.6e308]}).schema()
    assert column["x"].sd == pytest.approx(2**0.5 * 1e300)
    assert column["y"].mean == pytest.approx(1.65e308)
