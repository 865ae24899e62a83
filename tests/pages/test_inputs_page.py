"""Protects: a pasted string is read with every fault at its place, and the nearest words can be applied."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from reading import Page, press

WRONG = """{'numlevs': 'Yes', 'L2ID': 'school', 'MOIlevel': '2 levels', 'MOOldist': 'Normal',
 'MOIslope': 'No', 'y': 'normexam', 'x': 'cons,standlrtmiss,girlmiss,avlrtmiss',
 'yimp1': 'normexam,standlrtmiss,girlmiss', 'bin1_1': 'Normal', 'bin1_2': 'Normal',
 'bin1_3': 'Binery', 'ximp1_0': 'cons', 'ximp1_1': 'cons,vrband:cat',
 'ximp1_2': 'cons', 'want2': 'No', 'moreimp': 'No', 'condmarg': 'Yes', 'numimpute5': '4',
 'imputefirst': '1000', 'imputeevery': '50', 'burnin': '100', 'iterations': '250'}"""


@pytest.fixture(scope="module")
def tutmiss(client: TestClient) -> str:
    return next(str(d["id"]) for d in client.get("/api/v1/datasets").json() if d["name"] == "tutmiss")


def paste(client: TestClient, text: str, dataset: str, template: str = "", do: str = "next") -> tuple[int, str, Page]:
    answer = client.post("/inputs", data={"text": text, "template": template, "dataset": dataset, "do": do})
    return answer.status_code, answer.url.path, Page(answer.text)


def test_every_fault_is_told_at_its_place(client: TestClient, tutmiss: str) -> None:
    status, _, page = paste(client, WRONG, tutmiss)
    assert status == 422
    assert page.faults() == []
    assert "19 of the 22 answers were read. These three were not." in page.text
    assert re.findall(r"<mark>(.*?)</mark>", page.source) == ["avlrtmiss", "Binery", "numimpute5"]
    assert [b[2] for b in page.form("/inputs").buttons if b[1].startswith("use ")] == [
        "Use avslrtmiss",
        "Use Binary",
        "Use numimpute",
        "Use all three",
    ]


def test_use_all_mends_the_text_and_next_shows_the_model(client: TestClient, tutmiss: str) -> None:
    _, _, page = paste(client, WRONG, tutmiss)
    mended = Page(press(client, page, "/inputs", "use all").text)
    assert "There is a problem" not in mended.text
    answer = press(client, mended, "/inputs")
    assert answer.url.path.endswith("/model")
    assert "'numimpute': '4'" in answer.text.replace("&#39;", "'")


def test_one_at_a_time(client: TestClient, tutmiss: str) -> None:
    _, _, page = paste(client, WRONG, tutmiss)
    page = Page(press(client, page, "/inputs", "use 1").text)
    assert re.findall(r"<mark>(.*?)</mark>", page.source) == ["avlrtmiss", "numimpute5"]


def test_the_fields_mend_too(client: TestClient, tutmiss: str) -> None:
    _, _, page = paste(client, WRONG, tutmiss)
    fixes = {"fix x": "cons,standlrtmiss,girlmiss,avslrtmiss", "fix bin1_3": "Binary", "fix numimpute": "7"}
    answer = press(client, page, "/inputs", **fixes)
    assert answer.url.path.endswith("/model")
    assert "'numimpute': '7'" in answer.text.replace("&#39;", "'")


def test_a_command_names_template_and_dataset(client: TestClient) -> None:
    invars = "{'y': 'normexam', 'x': 'cons,standlrt'}"
    text = f"RunStatJR(template='Regression1', dataset='tutmiss', invars = {invars}, estoptions = {{}})"
    status, where, _ = paste(client, text, "")
    assert (status, where.endswith("/model")) == (200, True)  # what it leaves out takes the defaults


def test_a_partial_string_opens_the_questions(client: TestClient, tutmiss: str) -> None:
    text = "{'numlevs': 'Yes', 'L2ID': 'school', 'MOIdist': 'Normal'}"
    status, where, page = paste(client, text, tutmiss, "2LevelImpute")
    assert status == 200
    assert re.fullmatch(r"/ask/\w+", where)
    assert "Levels in the model of interest" in page.text


def test_what_comes_later_waits_for_its_question(client: TestClient, tutmiss: str) -> None:
    """Filling stops at the first open question; the answers after it are not lost."""
    mended = WRONG.replace("avlr", "avslr").replace("Binery", "Binary").replace("numimpute5", "numimpute")
    gap = mended.replace("'yimp1': 'normexam,standlrtmiss,girlmiss', ", "")
    assert gap != mended
    status, where, page = paste(client, gap, tutmiss, "2LevelImpute")
    assert (status, bool(re.fullmatch(r"/ask/\w+", where))) == (200, True)
    assert "numimpute" not in page.source
    number = next(
        i for i, f in enumerate(f for f in page.forms if f.action == where) if ("next" in {b[1] for b in f.buttons})
    )
    terms = ["normexam", "standlrtmiss", "girlmiss"]
    again = Page(press(client, page, where, n=number, yimp1=terms).text)
    found = again.source.replace("&#39;", "'")
    for kept in ("'bin1_3': 'Binary'", "'ximp1_1': 'cons,vrband:cat'", "'numimpute': '4'", "'iterations': '250'"):
        assert kept in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{'a': 'b'}",
        "}{",
        "'" * 500,
        "{" * 3000,
        "x" * 200_000,
        "__import__('os')",
        "{'y': ['a', 1]}",
        "{'y': 'normexam', 'y': 'girl'}",
        "\x00",
        "{‘y’: “normexam”, x: cons,}",
    ],
)
@pytest.mark.parametrize("template", ["", "Regression1", "Nope"])
def test_any_text_is_answered(client: TestClient, tutmiss: str, text: str, template: str) -> None:
    for dataset in (tutmiss, "", "nowhere"):
        status, _, page = paste(client, text, dataset, template)
        assert status in (200, 422)
        assert page.faults() == []
        if status == 422:
            assert "There is a problem" in page.text
        paste(client, text, dataset, template, "use all")
