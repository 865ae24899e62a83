"""A template's help page, generated from its declaration, and the short manual of the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import db
from app.pages.home import grouped, in_order
from app.pages.render import page, remembered
from templates_engine import registry

router = APIRouter()
Db = Annotated[Session, Depends(db.get_session)]


@router.get("/templates/{name:path}")
def template_page(request: Request, session: Db, name: str) -> Response:
    from templates_engine import manual

    template = registry.get(name)
    here = remembered(request, session)
    rows = in_order(session)
    examples = [e for e in template.examples if any(r.name == e.dataset for r in rows)]
    suited = next((r.id for r in rows if examples and r.name == examples[0].dataset), 0)
    return page(
        request,
        session,
        "template.html",
        title=template.name,
        template=template,
        manual=manual.manual(template),
        lacking=template.lacking(),
        rows=rows,
        chosen=here.dataset_id or suited,
        examples=examples,
        json_url=f"/api/v1/templates/{template.slug}",
    )


@router.get("/manual")
def manual_page(request: Request, session: Db) -> Response:
    groups = grouped(list(registry.all().values()))
    return page(request, session, "manual.html", title="Manual", groups=groups, broken=registry.broken())
