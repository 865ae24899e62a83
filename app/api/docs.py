"""A page that lists the REST interface's routes, made from its OpenAPI description; it needs no script."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from templates_engine import inputs, registry

router = APIRouter(include_in_schema=False)

EXAMPLE = """KEY="Authorization: Bearer $(statgrove token)"
curl -H "$KEY" http://127.0.0.1:8600/api/v1/templates
curl -H "$KEY" -F file=@school.dta http://127.0.0.1:8600/api/v1/datasets
curl -H "$KEY" -H 'Content-Type: application/json' http://127.0.0.1:8600/api/v1/runs -d '{
  RUN}'
curl -H "$KEY" http://127.0.0.1:8600/api/v1/runs/1
curl -H "$KEY" -X POST http://127.0.0.1:8600/api/v1/runs/1/longer
curl -H "$KEY" -N http://127.0.0.1:8600/api/v1/runs/1/events
curl -H "$KEY" -O -J http://127.0.0.1:8600/api/v1/runs/1/bundle"""


@router.get("/api", response_class=RedirectResponse)
@router.get("/api/v1", response_class=RedirectResponse)
def index() -> str:
    return "/api/docs"


@router.get("/api/docs", response_class=HTMLResponse)
def docs(request: Request) -> str:
    """Every route with its parameters, body and answers."""
    described = request.app.openapi()
    groups: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            if path.startswith("/api/"):
                groups.setdefault(route.get("tags", ["other"])[0], []).append(_route(described, path, method, route))
    parts = "".join(
        f"<section><h2>{escape(tag.capitalize())}</h2>{''.join(rows)}</section>" for tag, rows in groups.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>REST interface · StatGrove</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/css/tokens.css">
<link rel="stylesheet" href="/static/css/base.css"><link rel="stylesheet" href="/static/css/layout.css">
</head><body><main class="wrap" id="main"><h1>REST interface</h1>
<p>Everything that the pages do can be done by a program. Requests and answers are JSON; the description for
machines is <a href="/api/v1/openapi.json">openapi.json</a>. A program sends the server's token, which the command
<code>statgrove token</code> prints, in a header. Errors always look like
<code>{{"error": {{"code", "message", "problems"}}}}</code>.</p>
<pre><code>{escape(EXAMPLE.replace("RUN", _run()))}</code></pre>
{parts}</main></body></html>"""


def _run() -> str:
    """The body of a request for a run: the shortest example of all templates."""
    every = [(example, template) for template in registry.all().values() for example in template.examples]
    example, template = min(every, key=lambda pair: len(pair[0].inputs))
    answers = json.dumps(dict(inputs.read(example.inputs).answers), ensure_ascii=False)
    return f'"template": "{template.name}", "dataset": "{example.dataset}", "answers": {answers}'


def _route(described: dict[str, Any], path: str, method: str, route: dict[str, Any]) -> str:
    rows = [
        (p["name"], p["in"], _kind(p.get("schema", {})), p.get("description", "")) for p in route.get("parameters", [])
    ]
    for media, body in route.get("requestBody", {}).get("content", {}).items():
        shape = _resolve(described, body.get("schema", {}))
        rows += [
            (name, media, _kind(kind), kind.get("description", ""))
            for name, kind in shape.get("properties", {}).items()
        ]
    cells = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    head = "<thead><tr><th>Name<th>In<th>Kind<th>Meaning</thead>"
    table = f'<div class="wide" tabindex="0"><table>{head}<tbody>{cells}</tbody></table></div>' if rows else ""
    text = escape(route.get("description", "").strip())
    return f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{text}</p>{table}"


def _resolve(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference (or the first of several) points to."""
    for one in schema.get("anyOf", []):
        if "$ref" in one:
            schema = one
    if "$ref" in schema:
        found: dict[str, Any] = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    return schema


def _kind(schema: dict[str, Any]) -> str:
    kinds = [one.get("type", "") for one in schema.get("anyOf", [schema])]
    return " or ".join(kind for kind in kinds if kind)
