"""The API offers everything that a page does, to the same people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browsers import Client
from fastapi.routing import iter_route_contexts
from houses import send_study
from test_insight import three as three

from hl7.orders import Order
from radplug import pipeline
from radplug.desk import Flaw
from radplug.domain import Case
from radplug.people import Role
from radplug.settings import Settings
from radplug.web.app import create
from radplug.wiring import House

# Each page's route: what it shows or does, as operations of the API.
COUNTERPARTS = {
    "GET /": ["cases"],
    "GET /rows": ["cases"],
    "GET /changes": ["changes"],
    "GET /cases/{case_id}": ["case", "desk"],
    "GET /cases/{case_id}/sent": ["case"],
    "GET /cases/{case_id}/version": ["case"],
    "GET /cases/{case_id}/versions": ["listed", "differing"],
    "GET /cases/{case_id}/stack": ["stack"],
    "GET /cases/{case_id}/frames/{sop_instance_uid}/{frame}": ["pixels"],
    "GET /cases/{case_id}/images/{version}/{number}.png": ["key_image"],
    "GET /dead-letters": ["dead_letters"],
    "POST /dead-letters/{case_id}": ["resend"],
    "GET /insight": ["figures"],
    "GET /insight.csv": ["export"],
    "GET /templates": ["all_in_use"],
    "GET /new-template": ["one"],  # an editor that begins with that text
    "GET /templates/{name}": ["one", "version"],
    "GET /templates/{name}/difference": ["between"],
    "POST /templates/check": ["checked"],
    "GET /rules": ["rules_in_use", "rules_version"],
    "GET /rules/difference": ["rules_difference"],
    "POST /rules/check": ["check_rules"],
    "POST /rules/try": ["try_rules"],
}
# A program has a token instead of a session; and what tells of the API needs none.
FOR_PEOPLE = {
    *("GET /sign-in", "POST /sign-in", "GET /sign-in/{secret}", "POST /sign-out"),
    *("GET /openid/begin", "GET /openid/back", "GET /api/v1/docs", "GET /api/v1/openapi.json"),
}
STOW = {"POST /dicom-web/studies", "POST /dicom-web/studies/{study_uid}"}  # for programs, as the standard has it
WITHOUT_END = {"changes"}
# The case's page is there for who may not read it all; the desk is its report alone.
IN_PART = {"desk"}
QUERY = {"differing": "?old=draft-1&new=draft-1", "between": "?old=0&new=0", "rules_difference": "?old=0&new=0"}
BODY: dict[str, dict[str, str]] = {"checked": {"text": "x"}, "check_rules": {"text": "x"}, "try_rules": {"text": "x"}}
APP = create(House(Settings(), "test"))


def routes_of_pages() -> set[str]:
    found = [route for route in iter_route_contexts(APP.routes) if route.endpoint and not route.include_in_schema]
    return {f"{method} {route.path}" for route in found for method in (route.methods or ()) if method != "HEAD"}


def operations() -> dict[str, tuple[str, str]]:
    """Method and path, by operation id."""
    paths = APP.openapi()["paths"].items()
    return {told["operationId"]: (method.upper(), path) for path, methods in paths for method, told in methods.items()}


def test_every_route_of_a_page_has_an_operation() -> None:
    assert routes_of_pages() == COUNTERPARTS.keys() | FOR_PEOPLE | STOW
    known = operations()
    assert [name for named in COUNTERPARTS.values() for name in named if name not in known] == []


@pytest.mark.parametrize("role", Role)
def test_a_page_and_its_operations_let_the_same_people_in(
    site: House, address: str, tmp_path: Path, role: Role
) -> None:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    named: dict[str, Any] = {
        "case_id": case.id,
        "case": case.id,
        "name": "generic",
        "version": 1,
        "number": 1,
        "frame": 1,
        "sop_instance_uid": site.drafting.instances(case.id)[0].instance.sop_instance_uid,
    }
    client = Client(address)
    client.sign_in(role)

    def body_of(name: str) -> dict[str, str] | None:
        return {**BODY[name], "case": case.id} if name == "try_rules" else BODY.get(name)

    def lets_in(method: str, path: str, name: str) -> bool:
        query = QUERY["between"] if path.endswith(("{name}/difference", "/rules/difference")) else QUERY.get(name, "")
        return client.json(method, path.format(**named) + query, body_of(name)).status != 403

    known = operations()
    for page, names in COUNTERPARTS.items():
        for name in set(names) - WITHOUT_END - IN_PART:
            method, path = page.split()
            assert lets_in(method, path, name) == lets_in(*known[name], name), (page, name)


# ── what the API told less of than the pages ──


def test_insight_is_told_as_its_page_shows_it(site: House, three: list[Case], address: str) -> None:
    client = Client(address)
    client.sign_in(Role.RADIOLOGIST)
    told: dict[str, Any] = json.loads(client.json("GET", "/api/v1/insight?days=30").text)
    (group,) = told["groups"]
    assert (told["drafts"], group["drafts"], group["opened"], group["accepted"], group["discarded"]) == (3, 3, 2, 1, 1)
    assert (group["acceptance"], group["anchors"]) == (0.5, 0.5)
    assert group["changed"]["FINDINGS"] > 0
    assert [(day["accepted"], day["discarded"]) for day in told["days"]] == [(1, 1)]
    assert told["discarded"] == [{"reason": Flaw.WORDING, "drafts": 1}]
    assert client.get("/api/v1/insight.csv").text == client.get("/insight.csv").text
    noted = [event.event for event in site.viewing.events("") if event.actor == "radiologist"]
    assert noted == ["signed in", "viewed insight", "exported insight", "exported insight"]


def test_a_case_is_told_with_its_order_and_what_was_struck(site: House, address: str, tmp_path: Path) -> None:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    site.receiving.add_order(
        Order(case.accession_number, procedure_code=("1", "L", "XR Chest"), indication="Cough"), site.now()
    )
    told = {}
    for role in (Role.RADIOLOGIST, Role.IT):
        client = Client(address)
        client.sign_in(role)
        told[role] = json.loads(client.json("GET", f"/api/v1/cases/{case.id}").text)
    assert told[Role.RADIOLOGIST]["order"] == {"procedure": "XR Chest", "indication": "Cough"}
    (draft,) = told[Role.RADIOLOGIST]["drafts"]
    (kept,) = site.viewing.drafts(case.id)
    assert draft["key_images"][0]["window"] == kept.images[0].provenance["voi"]
    assert {"struck", "placements", "missing", "conflicts"} <= draft["report"].keys()
    assert told[Role.IT]["order"] is None


def test_templates_that_were_taken_out_are_told(address: str) -> None:
    client = Client(address)
    client.sign_in(Role.RADIOLOGIST)
    path = "/api/v1/templates"
    text = json.loads(client.json("GET", f"{path}/generic").text)["text"].replace('"generic"', '"ours"', 1)
    assert client.json("POST", path, {"text": text}).status == 201
    assert client.json("DELETE", f"{path}/ours?on=1").status == 200
    assert json.loads(client.json("GET", f"{path}?out_of_use=true").text) == [{"name": "ours"}]
