"""The API's own page, made from its OpenAPI document: what can be asked, with what, what comes back, and an example."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from radplug.people import SCOPES
from radplug.web.rates import count_stranger
from radplug.web.words import pages

ADDRESS = "/api/v1/openapi.json"
EXAMPLES = {  # of names that stand for themselves; everything else is made from its schema
    "case": "A1234567",
    "text": "Small left pleural effusion.",
    "section": "FINDINGS",
    "sop_instance_uid": "1.2.3",
    "phrase": "0a1b2c3d",
    "Idempotency-Key": "message-4711",
    "reason": "findings are wrong",
}
OPTIONAL_BUT_SHOWN = {"section", "Idempotency-Key"}

Schema = Mapping[str, Any]
router = APIRouter(include_in_schema=False, dependencies=[Depends(count_stranger)])


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    required: bool
    text: str
    place: str = ""  # of a parameter: path, query, header


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    type: str


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    text: str
    fields: tuple[Field, ...]  # parameters, and what the body holds
    answers: tuple[Answer, ...]
    example: str


@router.get("/api/v1/docs", response_class=HTMLResponse)
def page(request: Request) -> Response:
    """Open to everybody who can reach it: it holds nothing of the site."""
    document = request.app.openapi()
    schemas = document["components"]["schemas"]
    context = {
        "address": ADDRESS,
        "scopes": SCOPES,
        "operations": list(operations(document, str(request.base_url).rstrip("/"))),
        "types": {name: list(_fields(schema)) for name, schema in schemas.items() if "properties" in schema},
        "words": {name: type_of(schema) for name, schema in schemas.items() if "enum" in schema},
    }
    return pages.TemplateResponse(request, "api.html", context)


def operations(document: Schema, site: str) -> Iterator[Operation]:
    """Every operation of an OpenAPI document; examples ask `site`."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            body = _body(document, told)
            parameters = told.get("parameters", [])
            yield Operation(
                id=told["operationId"],
                method=method.upper(),
                path=path,
                text=told.get("description", ""),
                fields=(*map(_parameter, parameters), *_fields(body)),
                answers=tuple(_answer(status, answer) for status, answer in sorted(told["responses"].items())),
                example=_curl(site, method, path, parameters, body),
            )


def type_of(schema: Schema) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(map(type_of, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "anything"))


def _body(document: Schema, told: Schema) -> Schema:
    content = told.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    known: Schema = document["components"]["schemas"].get(type_of(schema), {})
    return known


def _parameter(told: Schema) -> Field:
    return Field(told["name"], type_of(told["schema"]), told["required"], told.get("description", ""), told["in"])


def _fields(schema: Schema) -> Iterator[Field]:
    for name, told in schema.get("properties", {}).items():
        yield Field(name, type_of(told), name in schema.get("required", ()), told.get("description", ""))


def _answer(status: str, told: Schema) -> Answer:
    kinds = [type_of(c["schema"]) if "json" in kind else kind for kind, c in told.get("content", {}).items()]
    return Answer(status, "" if status == "200" else told["description"], ", ".join(kinds))


def _curl(site: str, method: str, path: str, parameters: list[Schema], body: Schema) -> str:
    words = ["curl", "-H", "Authorization: Bearer $TOKEN"]
    if method != "get":
        words += ["-X", method.upper()]
    for told in parameters:
        name = told["name"]
        if told["in"] == "path":
            path = path.replace(f"{{{name}}}", EXAMPLES.get(name, "1"))
        elif told["in"] == "header" and name in OPTIONAL_BUT_SHOWN:
            words += ["-H", f"{name}: {EXAMPLES[name]}"]
    if body:
        shown = {*body.get("required", ()), *OPTIONAL_BUT_SHOWN}
        given = {name: EXAMPLES.get(name, 1) for name in body["properties"] if name in shown}
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(given)]
    # the token is the shell's to fill in
    return " ".join(f'"{w}"' if "$TOKEN" in w else shlex.quote(w) for w in (*words, site + path))
