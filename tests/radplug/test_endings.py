"""How a case is left: accepted as a draft, discarded, given back; and what late images bring into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from browsers import Client
from houses import receive_file, send_study
from pydicom import dcmread

from dicom_io import report_checks, report_reading
from hl7 import oru
from model_runtime.canvas import Code
from model_runtime.draft_text import SectionText, Span
from radplug import differences, pipeline
from radplug.acceptance import synthetic_study
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.desk import BadEdit, Ending, Flaw, Phrase, StaleEdit, pinned
from radplug.differences import Change
from radplug.domain import Case, CaseState, DeliveryState
from radplug.wiring import House

PHRASE = "Small right pleural effusion."


@pytest.fixture
def case(site: House, tmp_path: Path) -> Case:
    case = send_study(site, tmp_path / "study")
    pipeline.draft(site, case.id, "worker")
    return site.viewing.case(case.id)


def pin(house: House, case: Case, text: str = PHRASE) -> None:
    """As the page does it, and the worker behind it."""
    desk = house.desks.of(case.id, house.now())
    phrases = pinned(desk.edit.phrases, Phrase("p1", "FINDINGS", text, "typed"), None, ["FINDINGS", "IMPRESSION"])
    house.desks.add(desk.edit, phrases, (), by="maria", what="pinned", now=house.now())
    pipeline.redraft(house, case.id)


def late_image(house: House, case: Case, folder: Path) -> None:
    """One more image of the case's study, drafted from."""
    _, second = synthetic_study.write(folder, 1_000_000_001, house.now(), views=2, size=128).files
    dataset = dcmread(second)
    dataset.StudyInstanceUID, dataset.AccessionNumber = case.study_uid, case.accession_number
    dataset.save_as(second)
    receive_file(house, second)
    pipeline.draft(house, case.id, "worker")


def test_what_is_accepted_goes_out_as_version_2_and_stays_a_draft(build: Callable[..., House], tmp_path: Path) -> None:
    with SimulatedPacs("PACS", tmp_path / "pacs") as pacs, SimulatedRis(tmp_path / "ris") as ris:
        house = build(
            pacs=[{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}],
            reporting=[{"name": "ris", "host": "127.0.0.1", "port": ris.port}],
            drafting={"assume_body_part": "CHEST"},
        )
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        pipeline.deliver(house, case.id)
        pin(house, case)
        accepted = pipeline.accept(house, house.desks.of(case.id, house.now()), "maria")
        assert accepted.ending is Ending.ACCEPTED
        assert house.viewing.case(case.id).state is CaseState.DRAFTED
        pipeline.deliver(house, case.id)
        assert (house.viewing.case(case.id).state, house.viewing.case(case.id).version) == (CaseState.DELIVERED, 2)

        first, second = (report_reading.read(file.read_bytes()) for file in pacs.received)
        assert report_checks.check(pacs.received[1].read_bytes()) == ()
        assert second.predecessor
        assert second.predecessor.sop_instance_uid == first.ids.sop_instance_uid
        assert (second.completion_flag, second.verification_flag, second.preliminary_flag) == (
            "PARTIAL",
            "UNVERIFIED",
            "PRELIMINARY",
        )
        assert (first.report.accepted_by, second.report.accepted_by) == ("", "maria")
        assert PHRASE in second.report.sections[0].paragraphs[0].text
        header = dcmread(pacs.received[1])
        assert "VerifyingObserverSequence" not in header
        assert "NOT VERIFIED" in second.report.banner

        before, after = (oru.read(file.read_bytes()) for file in ris.received)
        assert before.control_id != after.control_id
        assert before.filler_order_number == after.filler_order_number
        assert (after.status, set(after.observation_statuses)) == ("R", {"R"})
        assert PHRASE in after.sections[0].text


def test_a_draft_is_not_accepted_while_its_gaps_are_drafted_or_images_come(
    site: House, case: Case, tmp_path: Path
) -> None:
    desk = site.desks.of(case.id, site.now())
    phrases = (Phrase("p1", "FINDINGS", PHRASE, "typed"),)
    waiting = site.desks.add(desk.edit, phrases, (), by="maria", what="pinned", now=site.now())
    with pytest.raises(BadEdit, match="still being drafted"):
        pipeline.accept(site, waiting, "maria")
    pipeline.redraft(site, case.id)
    desk = site.desks.of(case.id, site.now())
    _, second = synthetic_study.write(tmp_path / "late", 1_000_000_001, site.now(), views=2, size=128).files
    dataset = dcmread(second)
    dataset.StudyInstanceUID, dataset.AccessionNumber = case.study_uid, case.accession_number
    dataset.save_as(second)
    receive_file(site, second)
    with pytest.raises(BadEdit, match="images have come since"):
        pipeline.accept(site, desk, "maria")


def test_of_two_who_accept_one_does(site: House, case: Case) -> None:
    desk = site.desks.of(case.id, site.now())
    pipeline.accept(site, desk, "maria")
    with pytest.raises(StaleEdit):
        pipeline.accept(site, desk, "paul")
    assert [draft.accepted_by for draft in site.viewing.drafts(case.id)] == ["", "maria"]


def test_after_accepting_one_can_go_on_and_accept_again(site: House, case: Case) -> None:
    pipeline.accept(site, site.desks.of(case.id, site.now()), "maria")
    pin(site, case)
    desk = site.desks.of(case.id, site.now())
    assert desk.ending is None
    assert pipeline.accept(site, desk, "maria").edit.version == 3
    assert site.desks.of(case.id, site.now()).offer is None


def test_what_is_discarded_is_not_sent_any_more(build: Callable[..., House], tmp_path: Path) -> None:
    away = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}
    house = build(pacs=[away], drafting={"assume_body_part": "CHEST"})
    case = send_study(house, tmp_path / "study")
    pipeline.draft(house, case.id, "worker")
    house.desks.discard(house.desks.of(case.id, house.now()), Flaw.OTHER_STUDY, by="maria", now=house.now())
    pipeline.deliver(house, case.id)
    (delivery,) = house.viewing.deliveries(case.id)
    assert (delivery.state, delivery.attempts) == (DeliveryState.WITHDRAWN, 0)
    assert house.viewing.dead_letters() == ()
    undone = house.desks.go(house.desks.of(case.id, house.now()).edit, 0, house.now())
    pipeline.deliver(house, case.id)
    (delivery,) = house.viewing.deliveries(case.id)
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 1)
    house.desks.go(undone.edit, 1, house.now())  # redone
    (delivery,) = house.viewing.deliveries(case.id)
    assert delivery.state is DeliveryState.WITHDRAWN


def test_undoing_takes_a_discarded_draft_up_again(site: House, case: Case) -> None:
    desk = site.desks.discard(site.desks.of(case.id, site.now()), Flaw.WRONG, by="maria", now=site.now())
    assert (desk.ending, desk.undo) == (Ending.DISCARDED, 0)
    assert site.desks.go(desk.edit, 0, site.now()).ending is None


@contextmanager
def drafted_for_a_pacs(build: Callable[..., House], tmp_path: Path) -> Iterator[tuple[House, Case, SimulatedPacs]]:
    """A case whose first draft has yet to be sent."""
    with SimulatedPacs("PACS", tmp_path / "pacs") as pacs:
        house = build(
            pacs=[{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}],
            drafting={"assume_body_part": "CHEST"},
        )
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        yield house, case, pacs


def test_late_images_are_offered_to_who_has_begun_and_sent_only_once_accepted(
    build: Callable[..., House], tmp_path: Path
) -> None:
    with drafted_for_a_pacs(build, tmp_path) as (house, case, pacs):
        pipeline.deliver(house, case.id)
        pin(house, case)
        mine = house.desks.of(case.id, house.now())
        late_image(house, case, tmp_path / "late")
        pipeline.deliver(house, case.id)
        desk = house.desks.of(case.id, house.now())
        assert (desk.offer, desk.shown) == (2, mine.shown)  # offered, not swapped in
        assert len(pacs.received) == 1
        house.desks.take(desk, by="maria", now=house.now())
        pipeline.redraft(house, case.id)
        taken = house.desks.of(case.id, house.now())
        assert (taken.offer, taken.edit.version) == (None, 2)
        assert PHRASE in taken.shown.sections[0].text
        pipeline.accept(house, taken, "maria")
        pipeline.deliver(house, case.id)
        _, sent = (report_reading.read(file.read_bytes()) for file in pacs.received)
        assert len(sent.evidence) == 2


def test_late_images_of_an_untouched_case_are_drafted_and_sent_as_ever(
    build: Callable[..., House], tmp_path: Path
) -> None:
    with drafted_for_a_pacs(build, tmp_path) as (house, case, pacs):
        house.desks.of(case.id, house.now())  # somebody has looked at it
        late_image(house, case, tmp_path / "late")
        for _ in range(2):
            pipeline.deliver(house, case.id)
        assert len(pacs.received) == 2
        assert house.desks.of(case.id, house.now()).offer == 2


# ── over HTTP ──


def asked(client: Client, method: str, case: Case, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.json(method, f"/api/v1/cases/{case.id}{path}", body)
    return answer.status, json.loads(answer.text) if answer.text.startswith(("{", "[")) else answer.text


@pytest.fixture
def client(address: str) -> Client:
    made = Client(address)
    made.sign_in("radiologist")
    return made


def test_accepting_over_http(site: House, case: Case, client: Client) -> None:
    status, told = asked(client, "POST", case, "/accept", {"on": 0})
    assert (status, told["ending"], told["version"]) == (200, "accepted", 2)
    assert asked(client, "POST", case, "/accept", {"on": 0})[0] == 409
    assert any(event.event == "accepted the draft" for event in site.viewing.events(case.id))
    status, text = asked(client, "GET", case, "/text")
    assert status == 200
    assert text.startswith("AI DRAFT, ACCEPTED AS A DRAFT, NOT VERIFIED\n\nFINDINGS")


def test_the_worklist_tells_how_a_draft_was_ended(site: House, case: Case, client: Client) -> None:
    assert '<span class="ended">' not in client.get("/rows").text
    asked(client, "POST", case, "/accept", {})
    assert '<span class="ended">accepted</span>' in client.get("/rows").text
    asked(client, "POST", case, "/undo", {})
    assert '<span class="ended">accepted</span>' in client.get("/rows").text  # it has been sent, and cannot be unsent
    asked(client, "POST", case, "/discard", {"reason": Flaw.WRONG})
    assert '<span class="ended">discarded</span>' in client.get("/rows").text
    assert asked(client, "POST", case, "/accept", {})[0] == 422
    asked(client, "POST", case, "/undo", {})
    assert '<span class="ended">accepted</span>' in client.get("/rows").text


def test_who_opens_an_untouched_case_later_sees_its_latest_draft(
    site: House, case: Case, client: Client, tmp_path: Path
) -> None:
    client.get(f"/cases/{case.id}")
    assert asked(client, "GET", case, "/desk")[1]["version"] == 1
    site.readers.has_open(case.id, "maria", site.now())
    late_image(site, case, tmp_path / "late")
    client.get(f"/cases/{case.id}")
    told = asked(client, "GET", case, "/desk")[1]
    assert (told["version"], told["offer"]) == (1, 2)  # while maria reads it
    site.readers.leaves(case.id, "maria")
    client.get(f"/cases/{case.id}")
    told = asked(client, "GET", case, "/desk")[1]
    assert (told["version"], told["offer"]) == (2, None)
    pin(site, case)
    late_image(site, case, tmp_path / "later")
    client.get(f"/cases/{case.id}")
    assert asked(client, "GET", case, "/desk")[1]["version"] == 2  # somebody has begun on it


def test_a_draft_is_discarded_for_one_of_the_reasons(site: House, case: Case, client: Client) -> None:
    assert asked(client, "POST", case, "/discard", {"reason": "bad"})[0] == 422
    status, told = asked(client, "POST", case, "/discard", {"reason": Flaw.WRONG})
    assert (status, told["ending"]) == (200, "discarded")
    assert asked(client, "GET", case, "/text")[1].startswith("AI DRAFT, NOT REVIEWED")


def test_every_state_is_kept_and_any_two_are_compared(site: House, case: Case, client: Client) -> None:
    pin(site, case)
    _, states = asked(client, "GET", case, "/states")
    assert [state["id"] for state in states] == ["draft-1", "edit-1"]
    _, sections = asked(client, "GET", case, "/difference?old=draft-1&new=edit-1")
    new = "".join(p["text"] for p in sections[0]["pieces"] if p["change"] != "gone")
    assert new == site.desks.of(case.id, site.now()).shown.sections[0].text
    assert asked(client, "GET", case, "/difference?old=draft-1&new=edit-9")[0] == 404
    page = client.get(f"/cases/{case.id}/versions?old=draft-1&new=edit-1")
    assert (page.status, "<ins>" in page.text) == (200, True)


def test_a_second_person_is_told_who_has_the_case_open(site: House, case: Case) -> None:
    now = site.now()
    site.readers.has_open(case.id, "maria", now)
    site.readers.has_open(case.id, "paul", now)
    assert site.readers.others(case.id, "paul", now) == ("maria",)
    assert site.readers.others(case.id, "paul", now + timedelta(minutes=1)) == ()  # her page is closed
    site.readers.has_open(case.id, "maria", now)
    site.readers.leaves(case.id, "maria")
    assert site.readers.others(case.id, "paul", now) == ()


# ── what differs ──


def section(text: str, name: str = "FINDINGS") -> SectionText:
    return SectionText(name, name, Code("1", "LN", name), (Span(text, "model"),))  # type: ignore[arg-type]


def test_a_difference_gives_both_texts_back() -> None:
    old, new = "The heart is normal. No effusion.", "The heart is enlarged.  No 胸水 effusion!"
    (told,) = differences.difference([section(old)], [section(new)])
    assert "".join(p.text for p in told.pieces if p.change is not Change.NEW) == old
    assert "".join(p.text for p in told.pieces if p.change is not Change.GONE) == new
    assert (Change.GONE, "normal") in [(p.change, p.text) for p in told.pieces]


def test_a_section_that_only_one_has_is_all_new_or_all_gone() -> None:
    told = differences.difference([section("a", "A")], [section("b", "B")])
    assert [[(p.change, p.text) for p in s.pieces] for s in told] == [[(Change.NEW, "b")], [(Change.GONE, "a")]]
