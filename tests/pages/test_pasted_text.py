"""Protects: an answer of several lines keeps its lines on the page, after a mistake elsewhere, and in the run."""

from __future__ import annotations

from types import SimpleNamespace

from fastapi.testclient import TestClient
from reading import Page, press

from app import datasets, db, queue
from app.pages import conversation as talks
from templates_engine import inputs

TABLE = "\n\npupil,town\n1,Leeds\n2,\"York, <b>\"\n\n3,\tBath & 'Wells'\n"
BROWSER = TABLE.replace("\n", "\r\n")


def begin(client: TestClient) -> tuple[str, Page]:
    number = next(str(d["id"]) for d in client.get("/api/v1/datasets").json() if d["name"] == "tutmiss")
    answer = client.post("/ask", data={"template": "LoadTextFile", "dataset": number})
    return answer.url.path, Page(answer.text)


def questions(page: Page, here: str) -> int:
    forms = [f for f in page.forms if f.action == here]
    return next(i for i, f in enumerate(forms) if any(b[1] == "next" for b in f.buttons))


def area(page: Page, here: str) -> str:
    return dict(page.form(here, questions(page, here)).fields)["text"]


def test_the_table_keeps_its_lines_from_the_page_to_the_run(client: TestClient) -> None:
    here, page = begin(client)
    assert page.faults() == []
    assert [c["tag"] for c in page.controls if c.get("name") == "text"] == ["textarea"]
    # The separator is not the table's, so that one is told, and nothing of the table is lost.
    answer = press(client, page, here, n=questions(page, here), text=BROWSER, separator="Tab", outdata="pasted")
    assert answer.status_code == 422
    assert "The first line has no tab" in Page(answer.text).text
    page = Page(answer.text)
    assert "pupil,town … and 4 more lines" in page.text
    remove = "remove text"
    forms = [f for f in page.forms if f.action == here]
    n = next(i for i, f in enumerate(forms) if any(b[1] == remove for b in f.buttons))
    page = Page(press(client, page, here, remove, n=n).text)
    assert area(page, here) == TABLE
    answer = press(client, page, here, n=questions(page, here), text=BROWSER)
    page = Page(answer.text)
    forms = [f for f in page.forms if f.action == here]
    n = next(i for i, f in enumerate(forms) if any(b[1] == "remove separator" for b in f.buttons))
    page = Page(press(client, page, here, "remove separator", n=n).text)
    answer = press(client, page, here, n=questions(page, here), separator="Comma")
    assert answer.url.path == f"{here}/model"
    page = Page(answer.text)
    assert page.faults() == []
    n = [b[1] for f in page.forms if f.action == here for b in f.buttons].index("run")
    answer = press(client, page, here, "run", n=n)
    number = int(answer.url.path.rsplit("/", 1)[1])
    assert client.get(f"/api/v1/runs/{number}").json()["answers"]["text"] == TABLE
    queue.run_here(number, 0)
    assert client.get(f"/api/v1/runs/{number}").json()["state"] == "done"
    with db.session() as session:
        made = datasets.open(datasets.get(session, "pasted"))
    assert made["pupil"].tolist() == [1.0, 2.0, 3.0]
    assert made["town"].tolist() == ["Leeds", "York, <b>", "\tBath & 'Wells'"]


def test_a_mistake_in_another_field_leaves_the_table_in_its_field(client: TestClient) -> None:
    """The right answer is kept; a wrong one stays in its field, with its lines."""
    here, page = begin(client)
    answer = press(client, page, here, n=questions(page, here), text=BROWSER, outdata="1 2")
    assert answer.status_code == 422
    assert "pupil,town" in Page(answer.text).text
    token = here.rsplit("/", 1)[1]
    pasted = Page(client.get(f"/inputs?conversation={token}").text)
    string = next(value for form in pasted.forms for name, value in form.fields if name == "text")
    assert inputs.read(string).answers["text"] == TABLE


def test_a_long_table_goes_through_the_page(client: TestClient) -> None:
    """A million characters, which a browser sends with longer line ends; the page does not repeat them four times."""
    here, page = begin(client)
    long = "a,b\n" + "1,2\n" * 249_999
    answer = press(client, page, here, n=questions(page, here), text=long.replace("\n", "\r\n"))
    assert answer.url.path == f"{here}/model", Page(answer.text).text[:500]
    assert len(answer.text) < 100_000
    assert "too many to show here" in Page(answer.text).text
    here, page = begin(client)
    answer = press(client, page, here, n=questions(page, here), text=(long + "3,4\n").replace("\n", "\r\n"))
    assert answer.status_code == 422
    assert "The text is too long: at most 1,000,000 characters" in Page(answer.text).text


def test_undo_keeps_few_long_answers() -> None:
    """Sixty times a million characters would make every page slow; short answers are kept as they always were."""
    for length, left in ((1_000_000, 4), (5_000_000, 1), (100, talks.MOST_UNDO)):
        conversation = SimpleNamespace(aside={}, answers={})
        for k in range(100):
            conversation.answers = {"text": f"{k}".rjust(length)}
            talks._remember(SimpleNamespace(conversation=conversation))  # type: ignore[arg-type]
        earlier = conversation.aside["undo"]
        assert [int(answers["text"][-3:]) for answers in earlier] == list(range(100 - left, 100))


def test_a_long_table_goes_through_rest(client: TestClient) -> None:
    long = "a,b\n" + "1,2\n" * 249_999
    for body in ({"answers": {"text": long}}, {"inputs": inputs.write({"text": long})}):
        whole = {"template": "LoadTextFile", "dataset": "tutmiss", **body}
        answer = client.post("/api/v1/runs", json=whole)
        assert answer.status_code == 201, answer.text[:300]
        assert answer.json()["answers"]["text"] == long
