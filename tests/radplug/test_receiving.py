"""From a C-STORE to a case: kept once, safe before it is acknowledged, one case for each study."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from received_images import HEADER, image, receive

from dicom_io.commitment import Request
from dicom_io.errors import NoSpace
from radplug.domain import CaseState, Document, DocumentKind, Received
from radplug.records.schema import deliveries, instances
from radplug.study_store import StudyStore
from radplug.wiring import House


def rows(house: House) -> list[sa.Row[tuple[object, ...]]]:
    with house.database.reading() as connection:
        return list(connection.execute(sa.select(instances)))


def test_bytes_are_kept_as_they_came_under_a_name_of_ours(house: House) -> None:
    instance = image(sop_instance_uid="1.2.3.99")
    assert receive(house, instance, b"data set") is Received.NEW
    (row,) = rows(house)
    assert house.store.path(row.file).read_bytes() == HEADER + b"data set"
    assert "1.2.3.99" not in row.file
    assert row.case_id == house.viewing.cases()[0].id


def test_the_same_bytes_again_bring_nothing(house: House) -> None:
    instance = image()
    receive(house, instance)
    before = house.viewing.cases()
    assert receive(house, instance) is Received.DUPLICATE
    assert house.viewing.cases() == before
    assert len(rows(house)) == len(list((house.store.root / "studies").rglob("*.dcm"))) == 1


def test_the_same_instance_with_other_pixels_is_kept_too_and_is_the_one_that_counts(house: House) -> None:
    instance = image()
    receive(house, instance, b"first")
    assert receive(house, instance, b"second") is Received.NEW
    (case,) = house.viewing.cases()
    (kept,) = house.drafting.instances(case.id)
    assert house.store.path(kept.file).read_bytes().endswith(b"second")


def test_a_file_that_was_found_damaged_is_mended_once_by_many_senders(house: House) -> None:
    instance = image()
    receive(house, instance)
    (copy,) = house.commitment_requests.copies(instance.sop_instance_uid)
    house.store.path(copy.file).unlink()
    assert [house.commitment_requests.damaged(copy.id, copy.file) for _ in range(2)] == [True, False]
    assert house.commitment_requests.damages() == 1
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda _: receive(house, instance), range(16)))
    assert outcomes.count(Received.MENDED) == 1
    assert outcomes.count(Received.DUPLICATE) == 15
    (row,) = rows(house)
    assert [house.store.path(row.file)] == list((house.store.root / "studies").rglob("*.dcm"))
    assert house.commitment_requests.damages() == 0


def test_what_is_settled_of_storage_commitment_is_forgotten_on_each_database(house: House) -> None:
    now = house.now()
    house.commitment_requests.add(Request("1.2.3", ()), "CT1", now, now)
    house.commitment_requests.forget(now + timedelta(days=1))
    asked = house.commitment_requests.find(Request("1.2.3", ()), "CT1")  # it is still to be answered
    house.commitment_requests.settle(asked, "told")
    house.commitment_requests.forget(now + timedelta(days=1))
    with pytest.raises(StopIteration):
        house.commitment_requests.find(Request("1.2.3", ()), "CT1")
    house.committing.forget(now)


def test_many_senders_at_once_make_one_case_and_lose_nothing(house: House) -> None:
    sent = [image() for _ in range(40)]
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda one: receive(house, one), [*sent, *sent]))
    assert outcomes.count(Received.NEW) == 40
    assert outcomes.count(Received.DUPLICATE) == 40
    (case,) = house.viewing.cases()
    assert case.instances == len(rows(house)) == len(list((house.store.root / "studies").rglob("*.dcm"))) == 40


def test_below_the_watermark_nothing_is_taken(house: House) -> None:
    full = StudyStore(house.store.root, watermark=1 << 62)
    house.__dict__["store"] = full
    with pytest.raises(NoSpace, match="must stay free"):
        receive(house, image())
    assert not rows(house)
    assert not list(full.root.rglob("*.dcm*"))


def test_without_a_row_the_file_does_not_stay(house: House) -> None:
    house.database.close()
    with house.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE instances"))
    with pytest.raises(sa.exc.DBAPIError):
        receive(house, image())
    assert not list((house.store.root / "studies").rglob("*.dcm"))


def test_the_case_learns_from_images_what_the_study_shows(house: House) -> None:
    receive(house, image(modality="SR", body_part="", has_pixels=False))
    (case,) = house.viewing.cases()
    assert (case.modality, case.body_part) == ("", "")
    receive(house, image(study_description="Chest PA"))
    (case,) = house.viewing.cases()
    assert (case.modality, case.body_part, case.study_description, case.patient.name) == (
        *("DX", "CHEST", "Chest PA"),
        "Doe^Jane",
    )


def test_what_radplug_sent_itself_is_kept_but_is_no_input(house: House) -> None:
    receive(house, image())
    (case,) = house.viewing.cases()
    ours = Document(DocumentKind.SR, "1.2.3.77", "1.2.3.76", "sr.dcm")
    with house.database.writing() as connection:
        row = {"case_id": case.id, "version": 1, "destination": "pacs", "kind": ours.kind, "document_id": ours.id}
        connection.execute(sa.insert(deliveries).values(row | {"file": ours.file, "state": "delivered"}))
    sent_back = image(sop_instance_uid=ours.id, series_uid=ours.series_uid, modality="SR", has_pixels=False)
    assert receive(house, sent_back) is Received.OURS
    assert receive(house, sent_back) is Received.DUPLICATE
    assert house.viewing.cases() == [case]


def test_a_half_written_file_is_swept_away(house: House) -> None:
    receive(house, image())
    partial = house.store.root / "studies" / "2026-01-01" / "x.dcm.part"
    partial.parent.mkdir()
    partial.write_bytes(b"half")
    assert house.store.sweep() == 1
    assert not partial.exists()
    assert len(list((house.store.root / "studies").rglob("*.dcm"))) == 1


def test_the_study_store_is_for_its_owner_alone(house: House) -> None:
    receive(house, image())
    folders = [house.store.root, house.store.root / "studies", *(house.store.root / "studies").iterdir()]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


@pytest.mark.parametrize("state", [CaseState.COMPLETE, CaseState.NOT_DRAFTED])
def test_a_late_image_reopens_the_case_and_a_late_report_does_not(house: House, state: CaseState) -> None:
    receive(house, image())
    (case,) = house.viewing.cases()
    house.drafting.close(case.id, house.now() + timedelta(seconds=11))
    if state is CaseState.NOT_DRAFTED:
        lease = house.drafting.lease(case.id, "w", house.now(), house.now())
        assert lease
        house.drafting.set_aside(lease, state, "a reason")
    receive(house, image(modality="SR", has_pixels=False))
    assert house.viewing.case(case.id).state is state
    receive(house, image())
    reopened = house.viewing.case(case.id)
    assert (reopened.state, reopened.reason, reopened.closed_at) == (CaseState.RECEIVING, "", None)
