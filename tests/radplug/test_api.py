"""Editing a draft over HTTP, as the page and as dictation systems do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from browsers import Client

from radplug import pipeline
from radplug.clock import BellBroken
from radplug.domain import Case
from radplug.people import Role
from radplug.web.serving import serving
from radplug.wiring import House


@dataclass
class Bell:
    """Redrafts at once, or notes that it was rung."""

    house: House | None = None
    broken: bool = False
    rung: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)

    def deliver(self, case_id: str) -> None:
        self.delivered.append(case_id)

    def redraft(self, case_id: str) -> None:
        self.rung.append(case_id)
        if self.broken:
            raise BellBroken("Timeout")
        if self.house:
            pipeline.redraft(self.house, case_id)


@pytest.fixture
def house(drafted: tuple[House, Case]) -> House:
    return drafted[0]


@pytest.fixture
def case(drafted: tuple[House, Case]) -> Case:
    return drafted[1]


@pytest.fixture
def bell(house: House) -> Bell:
    return Bell(house)


@dataclass
class Api:
    client: Client
    case: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = self.client.json(method, f"/api/v1/cases/{self.case}{path}", body, **headers)
        return answer.status, json.loads(answer.text)

    def done(self, method: str, path: str, body: Any = None) -> Any:
        status, told = self.ask(method, path, body)
        assert status == 200, told
        return told


@pytest.fixture
def address(house: House, bell: Bell) -> Iterator[str]:
    with serving(house, bell) as address:
        yield address


@pytest.fixture
def api(address: str, case: Case) -> Api:
    client = Client(address)
    client.sign_in("radiologist")
    return Api(client, case.id)


def spans(told: Any, by: str) -> list[tuple[str, str]]:
    return [(s["name"], span["text"]) for s in told["sections"] for span in s["spans"] if span["by"] == by]


def test_the_desk_is_the_draft(api: Api, house: House, case: Case) -> None:
    told = api.done("GET", "/desk")
    (draft,) = house.viewing.drafts(case.id)
    assert (told["edit"], told["drafting"], told["undo"], told["redo"]) == (0, False, False, False)
    assert ["".join(span["text"] for span in section["spans"]) for section in told["sections"]] == [
        section.text for section in draft.text.sections
    ]


def test_a_phrase_is_pinned_moved_and_unpinned(api: Api) -> None:
    api.done("POST", "/anchors", {"section": "FINDINGS", "text": "Small right pleural effusion."})
    told = api.done("GET", "/desk")
    assert (told["edit"], told["drafting"]) == (1, False)
    assert spans(told, "anchor") == [("FINDINGS", "Small right pleural effusion.")]
    (phrase,) = told["phrases"]
    assert [s["phrase"] for section in told["sections"] for s in section["spans"] if s["phrase"]] == [phrase["id"]]
    api.done("POST", f"/anchors/{phrase['id']}/move", {"section": "IMPRESSION"})
    assert spans(api.done("GET", "/desk"), "anchor") == [("IMPRESSION", "Small right pleural effusion.")]
    api.done("DELETE", f"/anchors/{phrase['id']}")
    assert spans(api.done("GET", "/desk"), "anchor") == []


def test_a_dictation_system_names_the_accession_and_no_section(api: Api, house: House, case: Case) -> None:
    api.case = case.accession_number
    body = {"text": "The heart is enlarged.", "source": "speech"}
    status, _ = api.ask("POST", "/anchors", body, **{"Idempotency-Key": "m1"})
    again, _ = api.ask("POST", "/anchors", body, **{"Idempotency-Key": "m1"})
    assert (status, again) == (200, 200)
    told = api.done("GET", "/desk")
    assert told["edit"] == 1
    on_what_was_shown = {**body, "on": 1}
    for _ in range(2):  # the second time it is shown no more, and yet it is the same phrase
        assert api.ask("POST", "/anchors", on_what_was_shown, **{"Idempotency-Key": "m2"})[0] == 200
    assert api.done("GET", "/desk")["edit"] == 2
    told = api.done("POST", "/undo", {})
    (phrase,) = told["phrases"]
    assert phrase["section"] in {section["name"] for section in told["sections"]}
    assert spans(told, "anchor") == [(phrase["section"], "The heart is enlarged.")]


def test_strike_undo_redo(api: Api) -> None:
    before = api.done("GET", "/desk")
    sentence = before["sections"][0]["spans"][0]["text"].strip()
    api.done("POST", "/struck", {"text": sentence})
    after = api.done("GET", "/desk")
    assert sentence not in "".join(text for _, text in spans(after, "model"))
    assert api.done("POST", "/undo", {})["sections"] == before["sections"]
    assert api.done("POST", "/redo", {})["sections"] == after["sections"]
    assert api.ask("POST", "/redo", {}) == (422, {"detail": "there is nothing to be redone"})


def test_an_edit_on_what_is_no_longer_shown_is_a_conflict(api: Api) -> None:
    api.done("POST", "/anchors", {"section": "FINDINGS", "text": "Small right pleural effusion.", "on": 0})
    status, told = api.ask("POST", "/anchors", {"section": "FINDINGS", "text": "Another.", "on": 0})
    assert status == 409
    assert "somebody has edited" in told["detail"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"section": "HISTORY", "text": "x"}, "no section"),
        ({"section": "FINDINGS", "text": " "}, "no words"),
        ({"section": "FINDINGS", "text": "a\rb"}, "control character"),
        ({"section": "FINDINGS", "text": "x", "after": "nothing"}, "no such phrase"),
        ({"section": "FINDINGS", "text": ""}, ""),
        ({"section": "FINDINGS"}, ""),
        ({"section": "FINDINGS", "text": "x", "colour": "red"}, ""),
        ({"section": "FINDINGS", "text": "x" * 10_001}, ""),
    ],
)
def test_what_cannot_be_pinned_is_refused(api: Api, body: dict[str, str], why: str) -> None:
    status, told = api.ask("POST", "/anchors", body)
    assert status == 422
    assert why in str(told["detail"])
    assert api.done("GET", "/desk")["edit"] == 0


def test_what_does_not_fit_is_told_and_the_text_stands(api: Api) -> None:
    before = api.done("GET", "/desk")
    api.done("POST", "/anchors", {"section": "FINDINGS", "text": "Very long. " * 200})
    after = api.done("GET", "/desk")
    assert after["refused"]
    assert after["sections"] == before["sections"]


@pytest.mark.parametrize("role", [Role.TECHNOLOGIST, Role.IT, Role.ADMIN])
def test_only_radiologists_edit(address: str, case: Case, role: Role) -> None:
    client = Client(address)
    client.sign_in(role)
    other = Api(client, case.id)
    assert other.ask("POST", "/anchors", {"section": "FINDINGS", "text": "x"})[0] == 403
    assert other.ask("POST", "/undo", {})[0] == 403
    assert other.ask("GET", "/desk")[0] == (200 if role is Role.ADMIN else 403)


def test_nobody_edits_without_signing_in(address: str, case: Case) -> None:
    assert Api(Client(address), case.id).ask("POST", "/anchors", {"section": "FINDINGS", "text": "x"})[0] == 401


def test_there_is_no_such_case(api: Api) -> None:
    api.case = "nothing"
    assert api.ask("GET", "/desk")[0] == 404


def test_an_edit_waits_for_the_clock_where_the_queue_is_away(api: Api, bell: Bell, house: House, case: Case) -> None:
    bell.broken = True
    assert api.done("POST", "/anchors", {"section": "FINDINGS", "text": "Normal heart."})["drafting"]
    assert house.desks.due(house.now()) == [case.id]


def test_who_edited_is_noted_and_not_what(api: Api, house: House, case: Case) -> None:
    api.done("POST", "/anchors", {"section": "FINDINGS", "text": "Small right pleural effusion."})
    api.done("POST", "/undo", {})
    events = [(e.event, e.actor, e.detail) for e in house.viewing.events(case.id) if e.actor == "radiologist"]
    assert events == [("pinned", "radiologist", {"edit": 1}), ("undone", "radiologist", {"edit": 0})]
