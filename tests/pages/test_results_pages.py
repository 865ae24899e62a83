"""Protects: a run's page in each of its states; outputs by themselves, copied, downloaded."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import pytest
from fastapi.testclient import TestClient
from reading import Page, press

from app import datasets, db, queue, runs
from app.declared import Declared
from app.models import Run, now
from app.pages.listing import groups
from app.pages.longer import Offer
from app.pages.objects import Both, side_by_side
from app.pages.render import environment
from app.pages.tables import named
from app.pages.verdicts import _verdict
from templates_engine.data.schema import Column, Schema
from templates_engine.imputation import outputs as imputation
from templates_engine.outputs import HEADS
from templates_engine.regression.words import words_of
from templates_engine.running import kept_chains

ANSWERS = {"y": "normexam", "x": "cons,standlrtmiss", "nchains": "2", "burnin": "50", "iterations": "200"}


def ask(client: TestClient) -> int:
    with db.session() as session:
        row = datasets.get(session, "tutmiss")
        return runs.submit(session, "Regression1", row, ANSWERS, origin="test", title="A trial").id


@pytest.fixture(scope="module")
def done(client: TestClient) -> Run:
    """A run carried out here."""
    number = ask(client)
    queue.run_here(number, 0)
    with db.session() as session:
        run = runs.get(session, number)
    assert run is not None
    assert run.state == "done", run.message
    return run


def change(number: int, **values: object) -> None:
    with db.session() as session:
        run = session.get(Run, number)
        for name, value in values.items():
            setattr(run, name, value)
        session.commit()


def test_results_are_listed_and_drawn(client: TestClient, done: Run) -> None:
    page = Page(client.get(f"/runs/{done.id}").text)
    assert page.faults() == []
    assert "Table 1." in page.text
    assert "Intercept" in page.text
    assert "Ready" in page.text
    assert [h for h in ("Tables", "Diagnostics", "Model and code") if h not in page.text] == []
    with db.session() as session:
        names = [a.name for a in runs.artifacts(session, done)]
    for name in names:
        answer = client.get(f"/runs/{done.id}", params={"output": name})
        assert answer.status_code == 200
        assert Page(answer.text).faults() == []
        alone = client.get(f"/runs/{done.id}/output/{name}")
        assert alone.status_code == 200
        assert client.get(f"/runs/{done.id}/file/{name}").status_code == 200


def test_pictures_say_in_words_what_they_show_and_run_nothing(client: TestClient, done: Run) -> None:
    with db.session() as session:
        name = next(a.name for a in runs.artifacts(session, done) if a.kind == "figure")
    page = client.get(f"/runs/{done.id}", params={"output": name}).text
    assert re.search(r'alt="[^"]*effective sample size', page)
    file = client.get(f"/runs/{done.id}/file/{name}")
    assert "default-src 'none'" in file.headers["content-security-policy"]
    assert "<script" not in file.text


def test_tables_are_copied_in_three_forms(client: TestClient, done: Run) -> None:
    address = f"/runs/{done.id}/copy/ModelResults"
    assert r"\toprule" in client.get(address, params={"form": "latex"}).text
    assert "| Parameter |" in client.get(address, params={"form": "markdown"}).text
    assert "<table>" in client.get(address, params={"form": "html"}).text
    assert client.get(address, params={"form": "odd"}).status_code == 404
    assert client.get(f"/runs/{done.id}/copy/equation.tex").status_code == 404


def test_the_bundle_holds_what_its_manifest_lists(client: TestClient, done: Run) -> None:
    answer = client.get(f"/runs/{done.id}/bundle.zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        inside = {name.partition("/")[2] for name in bundle.namelist()}
        manifest = json.loads(bundle.read(next(n for n in bundle.namelist() if n.endswith("manifest.json"))))
    assert {a["file"] for a in manifest["artifacts"]} == inside - {"manifest.json", "README.txt"}


def test_answers_are_used_again(client: TestClient, done: Run) -> None:
    page = Page(client.get(f"/runs/{done.id}").text)
    answer = press(client, page, f"/runs/{done.id}/again")
    assert re.fullmatch(r"/ask/\w+", answer.url.path)
    assert "&#39;iterations&#39;: &#39;200&#39;" in answer.text
    changed = client.post(f"/runs/{done.id}/again", data={"key": "iterations", "value": "900"})
    assert changed.url.path.endswith("/model")
    assert "&#39;iterations&#39;: &#39;900&#39;" in changed.text


def test_a_run_is_made_longer(client: TestClient, done: Run) -> None:
    """From the form, with the number of its verdict, and with a number that will not do."""
    page = Page(client.get(f"/runs/{done.id}").text)
    assert page.faults() == []
    assert "More iterations per chain (200 so far)" in page.text
    form = page.form(f"/runs/{done.id}/longer", -1)  # a verdict may have one too
    assert dict(form.fields) == {"more": "200"}
    new = client.post(form.action, data=dict(form.fields))
    assert re.fullmatch(r"/runs/\d+", new.url.path)
    number = int(new.url.path.rpartition("/")[2])
    assert f"Goes on from run {done.id}" in Page(new.text).text
    with db.session() as session:
        assert runs.get(session, number).answers["iterations"] == "400"  # type: ignore[union-attr]
    assert f"Made longer in run {number}" in Page(client.get(f"/runs/{done.id}").text).text
    assert f"run {done.id} made longer" in client.get("/runs").text
    change(number, state="failed", started=now(), finished=now(), message="Gone.")
    assert f"It was to go on from run {done.id}" in Page(client.get(f"/runs/{number}").text).text
    for more, says in (("", "whole number"), ("2.5", "whole number"), ("-3", "whole number"), ("0", "from 1 on"),
                       ("99000000", "out of range"), ("<b>", "whole number")):  # fmt: skip
        answer = client.post(f"/runs/{done.id}/longer", data={"more": more})
        assert answer.status_code == 422, more
        wrong = Page(answer.text)
        assert wrong.faults() == []
        assert says in wrong.text
        assert "aria-invalid" in wrong.source
        assert f'value="{more}"' in wrong.source or more == "<b>"
    assert client.post(f"/runs/{done.id}/longer", data={"more": "1,500"}).url.path != f"/runs/{done.id}/longer"
    assert client.post("/runs/7777/longer", data={"more": "5"}).status_code == 404


def test_a_verdict_offers_the_iterations_that_it_names(client: TestClient, done: Run) -> None:
    offer = Offer("iterations", "iterations per chain", 200, False, "200")
    short = ("Too short", "R-hat of x is 1.03; 1,700 more iterations should bring it under 1.01.")
    few = ("Too few imputations", "About 20 imputations would do.")
    assert (_verdict(done, *short, offer).more, _verdict(done, *short, offer).button) == ("1700", "Run 1,700 more")
    assert _verdict(done, *short, None).value == "1900"  # cannot go on: the answers with as many in all
    assert _verdict(done, *few, offer).more == ""
    imputed = Offer("numimpute", "imputed datasets", 4, False, "4")
    imputing = Run(template="2LevelImpute", answers={"numimpute": "4", "imputefirst": "500", "iterations": "1000"})
    assert _verdict(imputing, *few, imputed).more == "16"
    assert _verdict(imputing, *few, None).button == "Ask for 20 imputations"
    assert (_verdict(imputing, *short).key, _verdict(imputing, *short).value) == ("imputefirst", "2200")
    of_a_fit = _verdict(imputing, short[0], f"Fit 3: {short[1]}")
    assert (of_a_fit.key, of_a_fit.value) == ("iterations", "2700")
    assert _verdict(done, *short, imputed).more == ""


def test_a_run_that_was_stopped_can_be_finished(client: TestClient, done: Run) -> None:
    change(done.id, state="cancelled", message="Stopped on request.")
    try:
        page = Page(client.get(f"/runs/{done.id}").text)
        assert page.faults() == []
        assert "Finish the 200 iterations per chain asked for" in page.text
        assert client.post(f"/runs/{done.id}/longer", data={"more": "0"}).url.path != f"/runs/{done.id}/longer"
    finally:
        change(done.id, state="done", message="")


def test_chains_of_another_program_are_not_offered(
    client: TestClient, done: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_chains, "program", lambda _: "another")
    page = Page(client.get(f"/runs/{done.id}").text)
    assert page.faults() == []
    assert "Another version of this program drew these chains" in page.text
    assert f"/runs/{done.id}/longer" not in page.source


def test_the_stopping_rule_speaks_among_the_verdicts(client: TestClient, done: Run) -> None:
    for code, word in (("targets-met", "Long enough."), ("targets-missed", "Out of time.")):
        change(done.id, problems=[{"code": code, "message": "So it was.", "level": "notice"}])
        page = Page(client.get(f"/runs/{done.id}").text)
        assert f"{word} So it was." in page.text
        assert "Worth a look." not in page.text
    change(done.id, problems=[])


def test_history_and_set_inputs_offer_the_run(client: TestClient, done: Run) -> None:
    assert f'href="/runs/{done.id}"' in client.get("/runs").text
    assert f'href="/inputs?run={done.id}"' in client.get("/inputs").text
    assert "'iterations': '200'" in dict(Page(client.get(f"/inputs?run={done.id}").text).form("/inputs").fields)["text"]


def test_a_run_that_goes_on(client: TestClient) -> None:
    number = ask(client)
    queued = Page(client.get(f"/runs/{number}").text)
    assert queued.faults() == []
    assert "Waiting for a worker" in queued.text
    change(number, state="running", started=now(), heartbeat=now())  # claimed, and nothing said yet
    assert "Starting" in Page(client.get(f"/runs/{number}").text).text
    steps = [{"title": "Impute", "state": "now", "seconds": 4.0}, {"title": "Pool", "state": "todo", "seconds": 0.0}]
    trace = {"parameter": "beta_1", "chains": [[0.1, 0.4, 0.2], [0.3, 0.2]]}
    progress = {
        "percent": 43.2,
        "step": "Impute",
        "steps": steps,
        "chains": [[520, 1200], [0, 1200]],
        "elapsed": 18.0,
        "left": 25.0,
        "notes": [],
        "trace": trace,
    }
    change(number, state="running", started=now(), heartbeat=now(), progress=progress)
    page = Page(client.get(f"/runs/{number}").text)
    assert page.faults() == []
    for words in ("43%", "18 s gone", "about 25 s left", "520 of 1,200", "Trace so far", "to do", "Working 43% · 18 s"):
        assert words in page.text
    assert "Convergence so far" not in page.text  # too few draws for it
    converging = [{"parameter": "beta_1", "rhat": 1.034, "ess": 81.2}, {"parameter": "sigma2", "rhat": None, "ess": 9}]
    change(number, progress={**progress, "converging": converging})
    live = Page(client.get(f"/runs/{number}").text)
    assert live.faults() == []
    assert "Convergence so far" in live.text
    cells = re.findall(
        r"<t[hd][^>]*>(?:<code>)?([^<]*)(?:</code>)?</t[hd]>", live.source.partition('class="converging"')[2]
    )
    assert cells[-8:] == ["beta_1", "1.034", "above 1.01", "81", "sigma2", "–", "", "9"]
    change(number, answers={**ANSWERS, "stopping": "When the targets are met", "maxminutes": "3"})
    assert "520, next look at 1,200" in client.get(f"/runs/{number}").text
    assert "until the targets are met, 3 min at most" in client.get(f"/runs/{number}").text
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page.source
    assert Page(client.get(f"/runs/{number}/stop").text).faults() == []
    press(client, page, f"/runs/{number}/stop", "keep")
    assert "Stopping." in client.get(f"/runs/{number}").text
    change(number, state="cancelled", finished=now(), message="Stopped on request.")
    ended = Page(client.get(f"/runs/{number}").text)
    assert "Cancelled" in ended.text
    assert ended.faults() == []


def test_a_run_that_failed_says_why_and_folds_the_trace(client: TestClient) -> None:
    number = ask(client)
    why = "Chain 2 stopped: a covariance matrix lost positive definiteness at iteration 412."
    change(
        number,
        state="failed",
        started=now(),
        finished=now(),
        message=why,
        trace="Traceback <b>",
        problems=[{"code": "x", "key": "x", "message": "x is constant.", "level": "error"}],
    )
    page = Page(client.get(f"/runs/{number}").text)
    assert why in page.text
    assert "Your answers are kept." in page.text
    assert "x is constant." in page.text
    assert "Traceback &lt;b&gt;" in page.source
    assert page.faults() == []
    change(number, message="x: x is constant.")  # a refusal's message names the question and repeats the problem
    page = Page(client.get(f"/runs/{number}").text)
    assert page.text.count("x is constant.") == 1
    assert "Explanatory variables: x is constant." in page.text, "the question's words, not its key"
    # Change an answer: the question to blame is asked again, with what was answered in its field.
    again = client.post(f"/runs/{number}/again")
    assert 'id="q-x"' in again.text
    assert 'value="standlrtmiss"' in again.text
    assert "'y': 'normexam'" in again.text.replace("&#39;", "'")


def test_a_data_template_leads_to_its_dataset(client: TestClient) -> None:
    with db.session() as session:
        row = datasets.get(session, "tutmiss")
        answers = {"id": "school", "vars": "normexam", "rule": "Mean", "outdata": "averages"}
        number = runs.submit(session, "Take", row, answers, origin="test").id
    queue.run_here(number, 0)
    page = client.get(f"/runs/{number}").text
    link = re.search(r'New dataset.</b> <a href="(/datasets/\d+)">averages</a> has 65 rows and 2 variables', page)
    assert link is not None
    assert client.get(link[1]).status_code == 200


def test_a_long_table_does_not_bury_the_first_page(client: TestClient) -> None:
    from app.pages.runs import AT_FIRST

    with db.session() as session:
        row = datasets.get(session, "hourly_demand")
        answers = {"y": "demand", "period": "24,168", "method": "Holt-Winters", "start": "decompose", "horizon": "2"}
        number = runs.submit(session, "HoltWinters", row, answers, origin="test").id
    queue.run_here(number, 0)
    first = client.get(f"/runs/{number}").text
    assert first.count('<th scope="row"') == AT_FIRST
    link = re.search(r'more rows: <a href="([^"]+)">the whole table</a>', first)
    assert link is not None
    assert client.get(link[1]).text.count('<th scope="row"') > AT_FIRST


def test_a_run_without_its_dataset_is_explained(client: TestClient) -> None:
    number = ask(client)
    change(number, dataset_id=None)
    assert client.post(f"/runs/{number}/again").status_code == 404
    assert client.get(f"/runs/{number}").status_code == 200


def _beside(left: dict[str, Any], right: dict[str, Any], schema: Schema | None, group: str) -> Both:
    """As 2LevelImpute declares it."""
    output = imputation.OUTPUTS[0]
    assert output.beside is not None
    words = words_of(named(left), {}, schema)
    return side_by_side(left, right, output.beside, schema, group, words, {**HEADS, **output.heads})


def test_pooled_estimates_stand_beside_the_complete_cases() -> None:
    columns = ["parameter", "variable", "estimate", "se", "df", "lower", "upper", "fmi", "riv", "mcse"]
    pooled = {
        "title": "Pooled",
        "columns": columns,
        "notes": ["4 completed datasets; N = 4,059 in 65 groups.", "Rubin."],
        "rows": [
            ["beta_0", "cons", 0.044, 0.086, 40.0, -0.12, 0.21, 0.09, 0.1, 0.01],
            ["sigma2", "", 0.557, 0.013, 900.0, 0.53, 0.58, 0.04, 0.04, 0.001],
        ],
    }
    complete = {
        "title": "CC",
        "columns": columns,
        "notes": ["N = 2,926 in 58 groups."],
        "rows": [["beta_0", "cons", 0.031, 0.088, None, -0.14, 0.2, None, None, None]],
    }
    schema = Schema("d", 1, (Column("cons", "constant", 1, 0),))
    both = _beside(pooled, complete, schema, "school")
    assert both.over == ("Imputed, 4 datasets", "Complete cases")
    assert both.rows[0].left == ("0.044", "0.086", "−0.12 to 0.21", "0.09")
    assert both.rows[0].right == ("0.031", "0.088", "−0.14 to 0.20")
    assert both.rows[1].right == ("", "", "")  # not in the other table
    assert both.sizes == (("Rows", "4,059", "2,926"), ("Groups of school", "65", "58"))
    assert [m.hollow for m in both.rows[0].marks] == [False, True]
    assert both.rows[0].marks[0].low < both.axis.zero < both.rows[0].marks[0].high  # type: ignore[union-attr, operator]
    page = environment().from_string('{% import "runs/object.html" as o with context %}{{ o.both(both, 1) }}')
    assert [h.text for h in both.heads[0]] == ["Estimate", "SE", "95% interval", "FMI"]
    drawn = page.render(both=both)
    assert '<td class="number">−0.12 to 0.21</td>' in drawn
    assert "Residual variance" in drawn


@pytest.mark.parametrize(("variance", "drawn"), [(28.0, 0), (0.6, 1)])
def test_a_large_variance_does_not_dwarf_the_coefficients(variance: float, drawn: int) -> None:
    """Beside a between-groups variance of 28 every coefficient would stand at nought."""
    columns = ["parameter", "variable", "estimate", "se", "lower", "upper", "fmi"]
    rows = [
        ["beta_0", "cons", 1.2, 0.7, -0.2, 2.5, 0.1],
        ["beta_1", "x", 0.06, 0.05, -0.04, 0.16, 0.1],
        ["sigma2_u", "", variance, 1.0, 0.9 * variance, 1.1 * variance, 0.1],
    ]
    table = {"title": "T", "columns": columns, "rows": rows, "notes": []}
    both = _beside(table, {**table, "rows": []}, None, "")
    assert [len(row.marks) for row in both.rows] == [1, 1, drawn]
    slope = both.rows[1].marks[0]
    assert slope.high - slope.low > 5


def test_groups_list_everything_once() -> None:
    from app.models import Artifact

    names = [
        ("ResultsTable:Imputation", "table"),
        ("ResultsTable:Imputation.json", "table"),
        ("Model1_beta_0.svg", "figure"),
        ("out", "draws"),
        ("out.npz", "draws"),
        ("equation.tex", "equation"),
        ("Verdicts", "table"),
    ]
    made = [Artifact(name=n, file=n, kind=k, title="", state="ready") for n, k in names]
    listed = groups(made, Declared(Run(id=1, template="2LevelImpute", answers={}, prefix="")))
    found = [e.name for g in listed for e in (*g.entries, *(x for f in g.folds.values() for x in f.entries))]
    assert sorted(found) == sorted(["ResultsTable:Imputation", "Model1_beta_0.svg", "out", "equation.tex"])
    assert [g.title for g in listed] == ["Tables", "Diagnostics", "Datasets", "Model and code"]
    gone = groups(made, Declared(Run(id=1, template="Gone", answers={}, prefix="")))
    assert [g.title for g in gone] == ["Tables", "Diagnostics", "Datasets", "Model and code"]
