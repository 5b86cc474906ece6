"""Cases for programs: what each scope is told; and phrases that come before their study or draft."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from browsers import Client, with_accounts
from houses import SIZE, receive_file, send_study

from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.domain import Case, CaseState, DeliveryState
from radplug.people import SCOPES
from radplug.records.schema import audit, cases, deliveries
from radplug.web.serving import serving
from radplug.wiring import House


@dataclass
class Program:
    """A program with a token."""

    address: str
    token: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        headers |= {"Authorization": f"Bearer {self.token}"}
        answer = Client(self.address).json(method, "/api/v1" + path, body, **headers)
        return answer.status, json.loads(answer.text)

    def get(self, path: str) -> Any:
        status, told = self.ask("GET", path)
        assert status == 200, told
        return told


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    return build(
        web={"port": 0},
        drafting={"assume_body_part": "CHEST"},
        pacs=[{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}],
    )


@pytest.fixture
def served(house: House) -> Iterator[str]:
    with serving(house) as address:
        yield address


@pytest.fixture
def program(house: House, served: str) -> Callable[..., Program]:
    def make(*scopes: str) -> Program:
        now = house.now()
        return Program(served, house.tokens.make("-".join(scopes)[:50], scopes, now, now + timedelta(days=1)))

    return make


@pytest.fixture
def case(house: House, tmp_path: Path) -> Case:
    case = send_study(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    return house.viewing.case(case.id)


def test_the_worklist_and_a_case_with_every_scope(
    house: House, program: Callable[..., Program], case: Case, tmp_path: Path
) -> None:
    ask = program(*SCOPES)
    page = ask.get("/cases?state=drafted&q=phantom&sort=patient")
    (row,) = page["cases"]
    assert (row["id"], row["patient"]["name"], row["destinations"]) == (case.id, "Phantom^Demo", {"pacs": "waiting"})
    assert (page["found"], page["page"], page["pages"], page["counts"]) == (1, 1, 1, {"drafted": 1})
    assert ask.get("/cases?state=failed")["cases"] == []
    whole = ask.get(f"/cases/{case.accession_number}")
    (kept,) = house.viewing.drafts(case.id)
    (draft,) = whole["drafts"]
    assert whole["study_uid"] == case.study_uid
    assert ["".join(span["text"] for span in section["spans"]) for section in draft["report"]["sections"]] == [
        section.text for section in kept.text.sections
    ]
    (shown,) = draft["key_images"]
    assert shown["sop_instance_uid"] == kept.images[0].sop_instance_uid
    assert [d["state"] for d in whole["deliveries"]] == ["waiting"]


@pytest.mark.parametrize("scopes", [("cases",), ("cases", "deliveries"), ("cases", "reports"), ("cases", "patients")])
def test_what_a_scope_does_not_allow_is_not_told(
    program: Callable[..., Program], case: Case, scopes: tuple[str, ...]
) -> None:
    ask = program(*scopes)
    told = json.dumps([ask.get("/cases?q=" + case.accession_number), ask.get(f"/cases/{case.id}")])
    assert case.id in told
    for secret in ("Phantom", "PHANTOM-1", case.study_uid):
        assert (secret in told) == ("patients" in scopes)
    assert ("FINDINGS:" in told) == ("reports" in scopes)
    assert (ask.get("/cases?q=Phantom")["found"] == 1) == ("patients" in scopes)
    assert ask.ask("GET", f"/cases/{case.id}/images")[0] == (200 if "patients" in scopes else 403)
    assert ask.ask("GET", f"/cases/{case.id}/desk")[0] == (200 if "reports" in scopes else 403)
    assert ask.ask("POST", f"/cases/{case.id}/resend")[0] == (200 if "deliveries" in scopes else 403)
    assert ask.ask("POST", f"/cases/{case.id}/anchors", {"text": "x"})[0] == 403


def test_images_and_frames(program: Callable[..., Program], case: Case) -> None:
    ask = program("patients")
    (series,) = ask.get(f"/cases/{case.id}/images")["series"]
    ((uid, frame),) = series["frames"]
    by = {"Authorization": f"Bearer {ask.token}"}
    pixels = Client(ask.address).get(f"/api/v1/cases/{case.id}/frames/{uid}/{frame}", **by)
    assert json.loads(pixels.headers["x-frame"])["rows"] == SIZE
    shown = Client(ask.address).get(f"/api/v1/cases/{case.id}/drafts/1/images/1.png", **by)
    assert shown.headers["content-type"] == "image/png"


def test_dead_letters_are_sent_again(house: House, program: Callable[..., Program], case: Case) -> None:
    with house.database.writing() as connection:
        connection.execute(sa.update(deliveries).values(state=DeliveryState.DEAD, ring_at=None))
    ask = program("cases", "deliveries")
    (letter,) = ask.get("/dead-letters")
    assert (letter["case"], letter["destination"], letter["state"]) == (case.id, "pacs", "dead")
    assert ask.ask("POST", f"/cases/{case.id}/resend") == (200, {"letters": 1})
    assert ask.get("/dead-letters") == []
    assert house.delivering.due(house.now()) == [case.id]


def test_what_a_token_reads_and_does_is_noted_under_its_name(
    house: House, program: Callable[..., Program], case: Case
) -> None:
    ask = program("cases", "patients", "reports", "deliveries")
    for path in ("", "/images", "/desk"):
        ask.get(f"/cases/{case.id}{path}")
    ask.ask("POST", f"/cases/{case.id}/resend")
    noted = [event.event for event in house.viewing.events(case.id) if event.actor.startswith("token:")]
    assert noted == ["viewed", "images viewed", "resend asked for"]  # what is fetched within minutes is one view
    ask.get("/cases")
    assert [e.event for e in house.viewing.events("") if e.actor.startswith("token:")] == ["worklist viewed"]


def test_what_a_session_reads_without_the_page_is_noted(house: House, served: str, case: Case) -> None:
    with_accounts(house)
    site_client = Client(served)
    site_client.sign_in("radiologist")
    for path in ("/desk", "/states"):
        assert site_client.json("GET", f"/api/v1/cases/{case.id}{path}").status == 200
    noted = [event.event for event in house.viewing.events(case.id) if event.actor == "radiologist"]
    assert noted == ["viewed"]
    site_client.get("/")
    site_client.get("/rows?q=phantom")
    site_client.get("/rows?q=phantom", **{"X-Searched": "yes"})
    noted = [event.event for event in house.viewing.events("") if event.actor == "radiologist"]
    assert noted == ["signed in", "worklist viewed", "worklist searched"]


def test_looking_is_no_change(house: House, program: Callable[..., Program], case: Case) -> None:
    before = house.worklist.moment(house.now())
    program("cases").get(f"/cases/{case.id}")
    assert house.worklist.moment(house.now()) == before


def test_an_accession_number_of_two_cases_is_a_conflict(
    house: House, program: Callable[..., Program], case: Case, tmp_path: Path
) -> None:
    other = send_study(house, tmp_path / "other")
    with house.database.writing() as connection:
        connection.execute(sa.update(cases).values(accession_number="TWICE"))
    ask = program("cases", "steer")
    for told in (ask.ask("GET", "/cases/TWICE"), ask.ask("POST", "/cases/TWICE/anchors", {"text": "x"})):
        assert told == (409, {"detail": "2 cases have this accession number; name the case by its id"})
    assert ask.get(f"/cases/{other.id}")["accession_number"] == "TWICE"


# ── phrases that come early ──

PHRASE = {"section": "findings", "text": "Small right pleural effusion.", "source": "speech"}


def anchors(house: House, case_id: str) -> list[tuple[str, str]]:
    sections = house.viewing.drafts(case_id)[-1].text.sections
    return [(section.name, span.text) for section in sections for span in section.spans if span.kind == "anchor"]


def test_a_phrase_that_comes_before_its_study_stands_in_the_draft_once(
    house: House, program: Callable[..., Program], tmp_path: Path
) -> None:
    ask = program("steer")
    study = synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC), size=SIZE)
    path, key = f"/cases/{study.order.accession_number}/anchors", {"Idempotency-Key": "m1"}
    for _ in range(2):
        assert ask.ask("POST", path, PHRASE, **key) == (202, {"stands": "waits for its study", "case": None})
    case = receive_file(house, study.files[0])
    waits = (202, {"stands": "waits for its draft", "case": case.id})
    assert ask.ask("POST", path, PHRASE, **key) == waits
    assert ask.ask("POST", f"/cases/{case.id}/anchors", {"section": "IMPRESSION", "text": "New."}) == waits
    pipeline.draft(house, case.id, "worker")
    assert anchors(house, case.id) == [("FINDINGS", PHRASE["text"]), ("IMPRESSION", "New.")]
    status, told = ask.ask("POST", path, PHRASE, **key)
    assert (status, told["edit"], told["sections"], told["phrases"]) == (200, 0, [], [])  # it may not read reports
    assert len(house.desks.of(case.id, house.now()).edit.phrases) == 2


def test_one_senders_key_is_not_anothers(house: House, program: Callable[..., Program], case: Case) -> None:
    one, other, key = program("steer"), program("steer", "reports"), {"Idempotency-Key": "1"}
    path = f"/cases/{case.id}/anchors"
    for ask in (one, other):
        assert ask.ask("POST", path, {"text": "Known.", "section": "FINDINGS"}, **key)[0] == 200
    assert other.ask("POST", path, {"text": "Other words.", "section": "FINDINGS"}, **key)[0] == 200
    assert [p.text for p in house.desks.of(case.id, house.now()).edit.phrases] == ["Known.", "Known.", "Other words."]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"text": "x", "section": "NOSUCH"}, "no template has such a section"),
        ({"text": " "}, "no words"),
        ({"text": "x", "after": "0a1b"}, "there is no draft yet"),
        ({"text": "x", "on": 0}, "there is no draft yet"),
    ],
)
def test_what_no_draft_could_stand_around_is_refused_at_once(
    house: House, program: Callable[..., Program], body: dict[str, Any], why: str
) -> None:
    status, told = program("steer").ask("POST", "/cases/A1/anchors", body)
    assert status == 422
    assert why in told["detail"]
    with house.database.reading() as connection:
        assert not connection.scalar(sa.select(sa.func.count()).where(audit.c.event == "dictated"))


@pytest.mark.parametrize("named", ["seventeen letters", " A1", "A%5C1"])
def test_what_is_no_accession_number_is_no_case(program: Callable[..., Program], named: str) -> None:
    assert program("steer").ask("POST", f"/cases/{named.replace(' ', '%20')}/anchors", {"text": "x"})[0] == 404


def test_a_case_that_is_not_drafted_takes_no_phrase(house: House, program: Callable[..., Program], case: Case) -> None:
    with house.database.writing() as connection:
        connection.execute(sa.update(cases).values(state=CaseState.NOT_DRAFTED, version=0))
    status, told = program("steer").ask("POST", f"/cases/{case.id}/anchors", {"text": "x"})
    assert (status, told["detail"].split(":")[0]) == (422, "this case is not drafted")
