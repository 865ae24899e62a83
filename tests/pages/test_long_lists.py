"""Protects: with thousands of datasets the list comes in pages, and no page reads the columns of all of them."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient
from sqlalchemy import inspect

from app import datasets, db
from app.models import Dataset
from app.pages.datasets import LISTED


def test_the_list_of_datasets_comes_in_pages(client: TestClient) -> None:
    with db.session() as session:
        there = len(datasets.list_all(session))
        like = datasets.get(session, "tutmiss_lev2")
        for k in range(2 * LISTED):
            session.add(
                Dataset(
                    name=f"completed_{k}", source="run", n_rows=65, n_columns=8, schema=like.schema, sha256=like.sha256,
                    file=like.file,
                )
            )  # fmt: skip
        session.commit()
        session.expire_all()
        rows = datasets.list_all(session)
        assert all("schema" in inspect(row).unloaded for row in rows if row is not like)
    seen: list[str] = []
    for number in range(1, 4):
        text = client.get("/datasets", params={"page": number}).text
        found = re.findall(r'<td><a href="/datasets/\d+">([^<]+)</a>', text)
        assert len(found) <= LISTED
        assert f"Page {number} of 3, {there + 2 * LISTED} datasets" in text
        seen += found
    assert len(seen) == len(set(seen)) == there + 2 * LISTED
    for odd in ("0", "-1", "x", "99999999999", "²"):
        assert client.get("/datasets", params={"page": odd}).status_code == 200
