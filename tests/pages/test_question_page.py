"""Protects: Next, remove, Undo and the picker's buttons, without JavaScript; nothing that was answered gets lost."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from reading import Page, press

from app.pages.fields import _of_several
from templates_engine import registry


def dataset_number(client: TestClient, name: str = "tutmiss") -> str:
    return next(str(d["id"]) for d in client.get("/api/v1/datasets").json() if d["name"] == name)


def begin(client: TestClient, template: str = "2LevelImpute") -> tuple[str, Page]:
    answer = client.post("/ask", data={"template": template, "dataset": dataset_number(client)})
    assert answer.status_code == 200
    return answer.url.path, Page(answer.text)


def example(client: TestClient) -> tuple[str, Page]:
    answer = client.post("/ask", data={"template": "2LevelImpute", "example": "published"})
    return answer.url.path, Page(answer.text)


def string(page: Page) -> str:
    return re.search(r'id="same-string">(.*?)</pre>', page.source, re.S)[1].replace("&#39;", "'")  # type: ignore[index]


def test_the_example_is_three_clicks_from_a_run(client: TestClient) -> None:
    here, page = example(client)
    assert "Every question is answered" in page.text
    answer = press(client, page, here)
    assert answer.url.path == f"{here}/model"
    model = Page(answer.text)
    assert r"\begin{aligned}" in model.source
    assert model.faults() == []
    answer = press(
        client, model, here, "run", n=[b[1] for f in model.forms if f.action == here for b in f.buttons].index("run")
    )
    assert re.fullmatch(r"/runs/\d+", answer.url.path)


def test_next_tells_all_that_is_missing(client: TestClient) -> None:
    here, page = begin(client)
    answer = press(client, page, here, n=questions_form(page, here))
    page = Page(answer.text)
    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    assert page.text.index("There is a problem") < page.text.index("2LevelImpute Multiple")
    assert 'aria-invalid="true"' in answer.text
    assert page.faults() == []


def test_an_answer_that_is_wrong_stays_in_its_field(client: TestClient) -> None:
    here, page = example(client)
    page = Page(press(client, page, here, "remove seed", n=page_form(page, here, "remove seed")).text)
    answer = press(client, page, here, seed="-3<b>", n=questions_form(page, here))
    assert answer.status_code == 422
    assert 'value="-3&lt;b&gt;"' in answer.text
    assert Page(answer.text).faults() == []
    answer = press(client, Page(answer.text), here, seed="12", n=questions_form(Page(answer.text), here))
    assert "'seed': '12'" in string(Page(answer.text))


def page_form(page: Page, here: str, do: str) -> int:
    return next(
        i for i, f in enumerate(f for f in page.forms if f.action == here) if any(b[1] == do for b in f.buttons)
    )


def questions_form(page: Page, here: str) -> int:
    return page_form(page, here, "next")


def test_remove_sets_dependants_aside_and_they_return(client: TestClient) -> None:
    here, page = example(client)
    whole = string(page)
    page = Page(press(client, page, here, "remove yimp1", n=page_form(page, here, "remove yimp1")).text)
    assert "bin1_1" not in string(page)
    assert "'y': 'normexam'" in string(page)  # asked before it: kept
    # The list is offered again as it was; Next restores everything that hung on it.
    page = Page(press(client, page, here, n=questions_form(page, here)).text)
    assert string(page) == whole


def test_what_is_asked_otherwise_is_not_put_back(client: TestClient) -> None:
    here, page = example(client)
    page = Page(press(client, page, here, "remove yimp1", n=page_form(page, here, "remove yimp1")).text)
    page = Page(press(client, page, here, n=questions_form(page, here), yimp1=["standlrtmiss"]).text)
    assert "'bin1_1'" not in string(page)  # the first type is now another variable's
    assert "'numimpute': '4'" not in string(page) or "bin1_3" not in string(page)


def test_undo_takes_back_the_last_change(client: TestClient) -> None:
    here, page = example(client)
    whole = string(page)
    page = Page(press(client, page, here, "remove numlevs", n=page_form(page, here, "remove numlevs")).text)
    assert string(page) != whole
    page = Page(press(client, page, here, "undo", n=page_form(page, here, "undo")).text)
    assert string(page) == whole


def test_start_again_keeps_template_and_dataset(client: TestClient) -> None:
    here, page = example(client)
    page = Page(press(client, page, here, "clear", n=page_form(page, here, "clear")).text)
    assert string(page) == "{}"
    assert page.source.count("2LevelImpute") > 1
    assert "tutmiss" in page.text


def test_what_the_rows_forbid_is_said_at_its_question(client: TestClient) -> None:
    """60 quarters cannot have a season of 40: said where the season is asked, before anything runs, nothing lost."""
    started = client.post(
        "/ask", data={"template": "HoltWinters", "dataset": dataset_number(client, "quarterly_sales")}
    )
    here, page = started.url.path, Page(started.text)
    wanted = {"y": "sales", "time": "quarter", "period": "40"}
    for _ in range(6):
        asked = {k: v for k, v in wanted.items() if f'name="{k}"' in page.source}
        answer = press(client, page, here, n=questions_form(page, here), **asked)
        page = Page(answer.text)
        if answer.status_code == 422 or str(answer.url.path) != here:
            break
    assert answer.status_code == 422
    assert page.faults() == []
    summary = page.text.partition("There is a problem")[2][:300]
    assert "the model needs 81 (two whole periods of 40 and one value more)" in summary
    assert "They allow a season of at most 29." in summary
    assert "Length of the season" in summary
    assert 'href="#q-period"' in page.source
    assert 'id="q-period-fault"' in page.source
    assert 'value="40"' in page.source
    answer = press(client, page, here, n=questions_form(page, here), period="4")
    assert str(answer.url.path) == here + "/model"
    assert "'y': 'sales', 'time': 'quarter', 'series': 'none', 'period': '4'" in string(Page(answer.text))


def test_the_model_page_leads_to_the_question_that_the_rows_forbid(client: TestClient) -> None:
    """As after a pasted string, whose answers are complete at once."""
    pasted = {"template": "HoltWinters", "dataset": dataset_number(client, "quarterly_sales")}
    answer = client.post("/inputs", data={**pasted, "text": "{'y': 'sales', 'period': '40'}"})
    page = Page(answer.text)
    assert answer.url.path.endswith("/model")
    assert "Length of the season" in page.text.partition("There is a problem")[2][:300]
    assert not any(b[1] == "run" for f in page.forms for b in f.buttons)
    here = answer.url.path.removesuffix("/model")
    again = press(client, page, here, "mend", n=page_form(page, here, "mend"))
    assert again.status_code == 422
    assert 'id="q-period-fault"' in again.text
    assert "'y': 'sales'" in string(Page(again.text))


def test_why_several_variables_are_barred_is_said_in_the_plural(client: TestClient) -> None:
    _, page = begin(client, "Tabulate")
    assert "normexam, standlrt and standlrtmiss: they have more than 500 values." in page.text
    assert _of_several("all its values are missing") == "all their values are missing"
    assert _of_several("it holds text, and numbers are needed") == "they hold text, and numbers are needed"
    assert _of_several("it is already used") == "they are already used"


def test_the_picker_works_by_buttons_alone(client: TestClient) -> None:
    here, page = begin(client, "Regression1")

    def click(do: str, **more: str | list[str]) -> Page:
        return Page(press(client, page, here, do, n=questions_form(page, here), **more).text)

    page = click("add x cons")
    page = click("add x vrband", y="normexam")
    page = click("add x girl", **{"cat x": "vrband"})
    assert chosen(page) == ["cons", "vrband", "girl"]
    assert ("cat x", "vrband") in page.form(here, questions_form(page, here)).fields
    assert ("y", "normexam") in page.form(here, questions_form(page, here)).fields  # other fields are kept, too
    page = click("up x girl")
    assert chosen(page) == ["cons", "girl", "vrband"]
    page = click("down x cons")
    assert chosen(page) == ["girl", "cons", "vrband"]
    page = click("out x girl")
    assert chosen(page) == ["cons", "vrband"]
    page = click("next")
    assert "'x': 'cons,vrband:cat'" in string(page)


def chosen(page: Page) -> list[str]:
    return [v for f in page.forms for k, v in f.fields if k == "x"]


def test_the_text_follows_the_fields(client: TestClient) -> None:
    here, _ = begin(client, "Regression1")
    answer = client.post(
        f"{here}/draft", data={"shown y": "1", "y": "normexam", "shown x": "1", "x": ["cons", "girlmiss"]}
    )
    page = Page(answer.text)
    assert answer.status_code == 200
    assert "'x': 'cons,girlmiss'" in string(page)
    assert "3,624 (89%)" in page.text
    again = Page(client.get(here).text)  # the page may be loaded anew: the fields are as they were left
    assert chosen(again) == ["cons", "girlmiss"]
    assert string(again) == "{}"  # and nothing is answered before Next


@pytest.mark.parametrize("name", sorted(registry.all()))
def test_every_template_can_be_asked_to_its_end(client: TestClient, name: str) -> None:
    """Any template, by its first example: asked, removed one by one from the end, answered again."""
    for one in registry.get(name).examples[:1]:
        if not any(d["name"] == one.dataset for d in client.get("/api/v1/datasets").json()):
            pytest.skip(f"{one.dataset} is not supplied")
        answer = client.post("/ask", data={"template": name, "example": one.name})
        here, page = answer.url.path, Page(answer.text)
        assert page.faults() == []
        assert "Every question is answered" in page.text
        assert client.get(f"{here}/model").status_code == 200
        whole = string(page)
        key = re.findall(r'value="remove ([^"]+)"', page.source)[0]
        page = Page(press(client, page, here, f"remove {key}", n=page_form(page, here, f"remove {key}")).text)
        assert page.faults() == []
        page = Page(press(client, page, here, n=questions_form(page, here)).text)
        assert string(page) == whole


@pytest.mark.parametrize(
    "do", ["nonsense", "remove", "remove nokey", "add", "add x", "add nokey nocolumn", "up x girl", "run", "undo"]
)
def test_odd_buttons_do_no_harm(client: TestClient, do: str) -> None:
    here, _ = begin(client, "Regression1")
    assert client.post(here, data={"do": do, "y": "\0", "x": ["'", "a:b:c"], "shown x": "1"}).status_code < 500
    assert client.get(here).status_code == 200
