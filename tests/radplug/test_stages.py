"""The stages one after the other in one process: what goes where, and what becomes of every answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from houses import receive_file, send_study
from peers import free_port

from hl7.acknowledgement import Code, acknowledge
from hl7.listener import Listener
from hl7.message import Message
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.acceptance.returned import ReturnedOru, ReturnedSr
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.domain import Case, CaseState, Delivery, DeliveryState, Dictation, Due, StaleWork
from radplug.records.worklist import Wanted
from radplug.wiring import House


def draft_and_deliver(house: House, case: Case) -> tuple[Case, tuple[Delivery, ...]]:
    pipeline.draft(house, case.id, "worker")
    pipeline.deliver(house, case.id)
    return house.viewing.case(case.id), house.viewing.deliveries(case.id)


def pacs_at(port: int, ae_title: str = "PACS") -> list[dict[str, Any]]:
    return [{"name": "pacs", "ae_title": ae_title, "host": "127.0.0.1", "port": port, "timeout_seconds": 5}]


def ris_at(port: int) -> list[dict[str, Any]]:
    return [{"name": "ris", "host": "127.0.0.1", "port": port, "timeout_seconds": 2}]


def test_sr_alone(build: Callable[..., House], tmp_path: Path) -> None:
    with SimulatedPacs("PACS", tmp_path / "pacs") as pacs:
        house = build(pacs=pacs_at(pacs.port))
        case, (delivery,) = draft_and_deliver(house, send_study(house, tmp_path / "study"))
        assert (case.state, delivery.state, delivery.outcome) == (
            CaseState.DELIVERED,
            DeliveryState.DELIVERED,
            "stored",
        )
        assert ReturnedSr.read(pacs.received[0]).faults == ()


def test_oru_alone(build: Callable[..., House], tmp_path: Path) -> None:
    with SimulatedRis(tmp_path / "ris") as ris:
        house = build(reporting=ris_at(ris.port))
        case, (delivery,) = draft_and_deliver(house, send_study(house, tmp_path / "study"))
        assert (case.state, delivery.state, delivery.outcome) == (CaseState.DELIVERED, DeliveryState.DELIVERED, "AA")
        assert ReturnedOru.read(ris.received[0]).faults == ()


def test_without_destinations_the_draft_stands_all_the_same(
    build: Callable[..., House], tmp_path: Path, database_url: str
) -> None:
    """On each database."""
    house = build(database={"url": database_url})
    case, deliveries = draft_and_deliver(house, send_study(house, tmp_path / "study"))
    assert (case.state, case.version, deliveries) == (CaseState.DELIVERED, 1, ())
    (draft,) = house.viewing.drafts(case.id)
    assert draft.text.sections
    (row,) = house.worklist.page(Wanted(), house.now(), patients=True).rows
    assert (row.case, row.lowest) == (case, draft.text.confidence and draft.text.confidence.lowest)


@contextmanager
def ris_that_answers(code: Code, received: list[bytes]) -> Iterator[int]:
    def answer(message: bytes) -> bytes:
        received.append(message)
        return acknowledge(Message.parse(message), code)

    with Listener("127.0.0.1", 0, answer) as listener:
        yield listener.port


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("AA", DeliveryState.DELIVERED, DeliveryState.DELIVERED),
        ("CA", DeliveryState.DELIVERED, DeliveryState.DELIVERED),
        ("AE", DeliveryState.DEAD, DeliveryState.DEAD),
        ("CE", DeliveryState.DEAD, DeliveryState.DEAD),
        ("AR", DeliveryState.WAITING, DeliveryState.DEAD),
        ("CR", DeliveryState.WAITING, DeliveryState.DEAD),
    ],
)
def test_the_acknowledgement_decides(
    build: Callable[..., House], tmp_path: Path, code: Code, first: DeliveryState, last: DeliveryState
) -> None:
    received: list[bytes] = []
    with ris_that_answers(code, received) as port:
        house = build(reporting=ris_at(port))
        case, (delivery,) = draft_and_deliver(house, send_study(house, tmp_path / "study"))
        assert delivery.state is first
        for _ in range(4):
            later = datetime.now(UTC) + timedelta(seconds=1)
            house.__dict__["now"] = lambda later=later: later
            pipeline.deliver(house, case.id)
        (delivery,) = house.viewing.deliveries(case.id)
        assert delivery.state is last
        assert len(set(received)) == 1  # whatever is sent again is the same message
        assert len(received) == (3 if first is DeliveryState.WAITING else 1)
        assert house.viewing.case(case.id).state is (
            CaseState.DELIVERED if last is DeliveryState.DELIVERED else CaseState.DRAFTED
        )


@pytest.mark.parametrize("silent", [True, False])
def test_no_answer_and_no_connection_mean_later(build: Callable[..., House], tmp_path: Path, silent: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if silent else free_port()
        house = build(reporting=ris_at(port))
        case, (delivery,) = draft_and_deliver(house, send_study(house, tmp_path / "study"))
    assert (case.state, delivery.state) == (CaseState.DRAFTED, DeliveryState.WAITING)
    assert delivery.retry_at is not None


def test_a_document_that_was_changed_on_disk_never_leaves(build: Callable[..., House], tmp_path: Path) -> None:
    with SimulatedPacs("PACS", tmp_path / "pacs") as pacs, SimulatedRis(tmp_path / "ris") as ris:
        house = build(pacs=pacs_at(pacs.port), reporting=ris_at(ris.port))
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        for delivery in house.viewing.deliveries(case.id):
            path = house.store.path(delivery.document.file)
            forged = path.read_bytes().replace(b"UNVERIFIED", b"VERIFIED  ").replace(b"|R|", b"|F|")
            path.write_bytes(forged)
        pipeline.deliver(house, case.id)
        assert {d.state for d in house.viewing.deliveries(case.id)} == {DeliveryState.DEAD}
        assert not pacs.received
        assert not ris.received


def test_drafting_twice_at_once_makes_one_draft(build: Callable[..., House], tmp_path: Path) -> None:
    house = build()
    case = send_study(house, tmp_path / "study")
    first = house.drafting.lease(case.id, "first", house.now(), house.now() + timedelta(seconds=60))
    assert first
    pipeline.draft(house, case.id, "second")  # finds it taken
    assert house.viewing.drafts(case.id) == ()


def test_a_draft_that_a_late_image_has_overtaken_is_thrown_away(build: Callable[..., House], tmp_path: Path) -> None:
    house = build()
    case = send_study(house, tmp_path / "study")
    keep = house.drafting.keep

    def keep_too_late(*arguments: Any) -> None:
        with house.database.writing() as connection:
            from radplug.records.moves import move

            move(connection, case.id, CaseState.RECEIVING, fence=99)
        keep(*arguments)

    house.drafting.keep = keep_too_late  # type: ignore[method-assign]
    pipeline.draft(house, case.id, "worker")
    assert house.viewing.case(case.id).state is CaseState.RECEIVING
    assert house.viewing.drafts(case.id) == ()
    assert any(event.event == "draft thrown away" for event in house.viewing.events(case.id))


def test_a_phrase_that_comes_after_the_draft_brings_version_2_around_it(
    build: Callable[..., House], tmp_path: Path
) -> None:
    house = build()
    case, _ = draft_and_deliver(house, send_study(house, tmp_path / "study"))
    said = Dictation("IMPRESSION", "Known since 2019.", "test", house.now(), case.accession_number)
    house.receiving.add_dictation(said)
    assert house.viewing.case(case.id).state is CaseState.COMPLETE
    pipeline.draft(house, case.id, "worker")
    _, second = house.viewing.drafts(case.id)
    impression = {s.name: s.text for s in second.text.sections}["IMPRESSION"]
    assert "Known since 2019." in impression
    assert second.version == 2


def test_a_phrase_that_comes_while_the_draft_is_made_is_not_left_out(
    build: Callable[..., House], tmp_path: Path
) -> None:
    house = build()
    case = send_study(house, tmp_path / "study")
    compose = house.documents.compose

    def compose_while_dictated(*arguments: Any) -> Any:
        house.receiving.add_dictation(Dictation("IMPRESSION", "New.", "test", house.now(), case.accession_number))
        house.documents.compose = compose  # type: ignore[method-assign]
        return compose(*arguments)

    house.documents.compose = compose_while_dictated  # type: ignore[method-assign]
    pipeline.draft(house, case.id, "worker")
    assert house.viewing.drafts(case.id) == ()
    assert house.drafting.due_to_draft(house.now()) == [Due(case.id, awaited=True)]
    pipeline.draft_at_once(house, case.id, "worker")
    (drafted,) = house.viewing.drafts(case.id)
    assert "New." in {section.name: section.text for section in drafted.text.sections}["IMPRESSION"]


def test_what_an_overtaken_worker_still_writes_is_not_sent(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(pacs=pacs_at(free_port()), reporting=ris_at(free_port()))
    case = send_study(house, tmp_path / "study")
    compose = house.documents.compose

    def compose_too_late(*arguments: Any) -> Any:
        house.documents.compose = compose  # type: ignore[method-assign]
        later = house.now() + 2 * house.policy.lease
        house.__dict__["now"] = lambda: later
        pipeline.draft(house, case.id, "second")
        return compose(*arguments)

    house.documents.compose = compose_too_late  # type: ignore[method-assign]
    pipeline.draft(house, case.id, "first")
    sr, oru = house.viewing.deliveries(case.id)
    assert ReturnedSr.read(house.store.path(sr.document.file)).sop_instance_uid == sr.document.id
    assert ReturnedOru.read(house.store.path(oru.document.file)).control_id == oru.document.id
    assert [event.event for event in house.viewing.events(case.id)] == ["drafted", "draft thrown away"]


def test_a_case_whose_worker_dies_every_time_is_set_aside(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(drafting={"attempts": 2})
    case = send_study(house, tmp_path / "study")
    for _ in range(2):  # a worker that takes the case and is never heard of again
        assert house.drafting.lease(case.id, "doomed", house.now(), house.now() - timedelta(seconds=1))
    pipeline.draft(house, case.id, "worker")
    ended = house.viewing.case(case.id)
    assert ended.state is CaseState.FAILED
    assert "tried 2 times" in ended.reason
    with pytest.raises(StaleWork):
        house.drafting.close(case.id, house.now())


def test_a_study_without_patient_id_is_not_sent_to_a_reporting_system(
    build: Callable[..., House], tmp_path: Path
) -> None:
    from pydicom import dcmread

    house = build(reporting=ris_at(free_port()))
    (file,) = synthetic_study.write(tmp_path / "study", 1_000_000_001, datetime.now(UTC)).files
    data_set = dcmread(file)
    data_set.PatientID = ""
    data_set.save_as(file)
    case, deliveries = draft_and_deliver(house, receive_file(house, file))
    assert (case.state, deliveries) == (CaseState.NOT_DRAFTED, ())
    assert "Patient ID" in case.reason
