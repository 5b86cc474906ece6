"""A study that came without an order: the site's modality worklist is asked, and what it says becomes the order."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from image_samples import item
from peers import free_port, tool, wait_until
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_io.errors import Rejected, Unavailable
from dicom_io.part10 import file_header
from dicom_io.reading import read_instance
from dicom_io.scheduled import Scheduled, find_scheduled
from dicom_io.sending import Peer, echo
from dicom_io.study import Patient
from hl7.orders import Order
from hl7.patient import Identifier
from radplug import pipeline
from radplug.acceptance import synthetic_study
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.asking.choosing import choose
from radplug.asking.orders import OrderDesk
from radplug.domain import Case, Priority
from radplug.records.schema import audit, cases
from radplug.wiring import House

AE = "RISWL"


class Worklist:
    """DCMTK's wlmscpfs on a folder of items."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.peer = Peer(AE, "127.0.0.1", self.port)
        self._folder = folder / AE
        self._folder.mkdir(parents=True)
        (self._folder / "lockfile").touch()
        self._number = 0

    def plan(self, **elements: Any) -> None:
        """Another item; `elements` over a plain one's."""
        planned = Dataset()
        values: dict[str, Any] = {
            "SpecificCharacterSet": "ISO_IR 192",
            "PatientName": "Phantom^One",
            "PatientBirthDate": "19700101",
            "PatientSex": "O",
            "RequestedProcedureID": "RP1",
            "RequestedProcedureDescription": "Thorax in zwei Ebenen",
            "RequestedProcedurePriority": "STAT",
            "ReasonForTheRequestedProcedure": "Husten, Müdigkeit",
            "PlacerOrderNumberImagingServiceRequest": "P1^HIS",
            "FillerOrderNumberImagingServiceRequest": "F1",
            "StudyInstanceUID": "1.2.3",
        }
        for keyword, value in (values | elements).items():
            setattr(planned, keyword, value)
        if "RequestedProcedureCodeSequence" not in elements:
            code = item(CodeValue="36643-5", CodingSchemeDesignator="LN", CodeMeaning="XR Chest 2 Views")
            planned.RequestedProcedureCodeSequence = [code]
        planned.ScheduledProcedureStepSequence = [
            item(
                Modality=elements.get("Modality", "DX"),
                ScheduledStationAETitle="DX1",
                ScheduledProcedureStepStartDate="20261124",
                ScheduledProcedureStepStartTime="0800",
                ScheduledPerformingPhysicianName="",
                ScheduledProcedureStepDescription="Thorax",
                ScheduledProcedureStepID="S1",
                ScheduledStationName="DX1",
            )
        ]
        planned.pop("Modality", None)
        planned.file_meta = FileMetaDataset()
        planned.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        self._number += 1
        planned.save_as(self._folder / f"{self._number}.wl", enforce_file_format=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        program = tool("wlmscpfs")
        process = subprocess.Popen(
            [program, "--keep-char-set", "-dfp", str(self._folder.parent), str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(self._answers, 20, "wlmscpfs answers")
            yield
        finally:
            process.terminate()
            process.wait()

    def _answers(self) -> bool:
        try:
            echo(self.peer, calling_ae="RADPLUG", timeout=5)
        except Unavailable:
            return False
        return True


@pytest.fixture
def worklist(tmp_path: Path) -> Worklist:
    return Worklist(tmp_path / "worklist")


@pytest.fixture
def asking(build: Callable[..., House], worklist: Worklist) -> tuple[House, OrderDesk]:
    """A house that asks, patient enough for a study to stay open."""
    house = build(
        modality_worklist={"ae_title": AE, "host": "127.0.0.1", "port": worklist.port, "timeout_seconds": 2},
        drafting={"assume_body_part": "CHEST"},
    )
    assert house.settings.modality_worklist
    return house, OrderDesk(house, house.settings.modality_worklist)


def arrive(house: House, folder: Path, **changed: Any) -> tuple[SyntheticStudy, Case]:
    study = synthetic_study.write(folder, 1_000_000_001, datetime.now(UTC), size=128)
    instance, data = read_instance(study.files[0]), study.files[0].read_bytes()
    instance = replace(instance, **changed)
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
    )
    start = 144 + int.from_bytes(data[140:144], "little")
    pipeline.receive(house, instance, header, data[start:], "CT1")
    case = house.viewing.case_of_study(study.study_uid)
    assert case is not None
    return study, case


def asked(house: House) -> list[dict[str, Any]]:
    with house.database.reading() as connection:
        return list(connection.scalars(sa.select(audit.c.detail).where(audit.c.event == "order asked for")))


def order(house: House, case: Case) -> Order | None:
    return house.drafting.order(house.viewing.case(case.id))


def test_the_order_of_a_study_is_found_and_stands_in_its_draft(
    asking: tuple[House, OrderDesk], worklist: Worklist, tmp_path: Path
) -> None:
    house, desk = asking
    study, case = arrive(house, tmp_path / "study")
    accession = study.order.accession_number
    worklist.plan(AccessionNumber=accession, PatientID=case.patient.id, StudyInstanceUID=study.study_uid)
    worklist.plan(AccessionNumber="OTHER", PatientID="SOMEBODY")
    with worklist.running():
        desk.ask_due()
    found = order(house, case)
    assert found == Order(
        accession_number=accession,
        placer_order_number="P1^HIS",
        filler_order_number="F1",
        procedure_code=("36643-5", "LN", "XR Chest 2 Views"),
        requested_procedure_id="RP1",
        indication="Husten, Müdigkeit",
        study_uid=study.study_uid,
        priority="S",
        patient=(Identifier(case.patient.id),),
    )
    assert house.viewing.case(case.id).priority is Priority.STAT
    assert asked(house) == [{"outcome": "found", "taken": True, "again": False}]
    pipeline.close(house, case.id)
    pipeline.draft(house, case.id, "worker")
    (draft,) = house.viewing.drafts(case.id)
    assert draft.order == found


def test_a_study_without_accession_number_gets_the_one_that_its_uid_was_planned_with(
    asking: tuple[House, OrderDesk], worklist: Worklist, tmp_path: Path
) -> None:
    house, desk = asking
    study, case = arrive(house, tmp_path / "study", accession_number="")
    worklist.plan(AccessionNumber="A77", PatientID=case.patient.id, StudyInstanceUID=study.study_uid)
    worklist.plan(AccessionNumber="A78", PatientID=case.patient.id, StudyInstanceUID="1.2.4")
    with worklist.running():
        desk.ask_due()
    found = order(house, case)
    assert found is not None
    assert (found.accession_number, house.viewing.case(case.id).accession_number) == ("A77", "A77")


def test_what_is_not_certainly_the_studys_is_left(
    asking: tuple[House, OrderDesk], worklist: Worklist, tmp_path: Path
) -> None:
    house, desk = asking
    study, case = arrive(house, tmp_path / "study")
    worklist.plan(AccessionNumber=study.order.accession_number, PatientID="SOMEBODY")
    with worklist.running():
        desk.ask_due()
        assert order(house, case) is None
        desk.ask_due()  # nor is it asked again
    assert len(asked(house)) == 1
    assert asked(house)[0]["outcome"] == "the worklist has none"  # of this patient: asked for last


def test_a_worklist_that_is_away_holds_up_no_draft_and_is_asked_again(
    asking: tuple[House, OrderDesk], worklist: Worklist, tmp_path: Path
) -> None:
    house, desk = asking
    study, case = arrive(house, tmp_path / "study")
    worklist.plan(AccessionNumber=study.order.accession_number, PatientID=case.patient.id)
    desk.ask_due()
    assert asked(house)[0]["again"]
    assert order(house, case) is None
    stop = threading.Event()
    with worklist.running():
        thread = threading.Thread(target=desk.run, args=(stop,))
        thread.start()
        try:
            wait_until(lambda: order(house, case), 30, "the worklist is asked again")
        finally:
            stop.set()
            thread.join()


def test_no_question_once_the_draft_stands_or_the_order_is_here(
    asking: tuple[House, OrderDesk], tmp_path: Path
) -> None:
    house, desk = asking
    study, _ = arrive(house, tmp_path / "ordered")
    house.receiving.add_order(study.order, house.now())
    _, drafted = arrive(house, tmp_path / "drafted")
    pipeline.close(house, drafted.id)
    pipeline.draft(house, drafted.id, "worker")
    _, nameless = arrive(house, tmp_path / "nameless", accession_number="", patient=Patient())
    desk.ask_due()
    assert asked(house) == []
    with house.database.reading() as connection:
        assert connection.scalar(sa.select(cases.c.accession_number).where(cases.c.id == nameless.id)) == ""


def test_an_order_that_came_meanwhile_stays(house: House, tmp_path: Path) -> None:
    study, case = arrive(house, tmp_path / "study")
    now = house.now()
    for number in (1, 2):
        ((leased, attempt),) = house.order_queries.lease(now, now)
        assert (leased.id, attempt) == (case.id, number)
    assert house.order_queries.lease(now, now + timedelta(minutes=1))
    assert not house.order_queries.lease(now, now)
    house.receiving.add_order(study.order, house.now())
    late = replace(study.order, indication="older")
    assert not house.order_queries.settle(case.id, late, "found", house.now(), None)
    assert order(house, case) == study.order


# ── which is the one ──

PATIENT = Patient(id="P1", issuer="HOSP")
PLANNED = Scheduled("A1", PATIENT, study_uid="1.2.3", modality="DX", indication="cough")


@pytest.fixture
def case(build: Callable[..., House], tmp_path: Path) -> Case:
    _, here = arrive(build(), tmp_path / "study")
    return replace(here, patient=PATIENT, accession_number="A1", study_uid="1.2.3", modality="DX")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([PLANNED], "found"),
        ([replace(PLANNED, study_uid="9")], "found"),
        ([replace(PLANNED, patient=Patient(id="P1"))], "found"),
        ([PLANNED, replace(PLANNED, modality="CT", study_uid="9", indication="other")], "found"),
        ([replace(PLANNED, study_uid="9"), replace(PLANNED, study_uid="8", modality="CT")], "found"),
        ([PLANNED, PLANNED], "found"),  # one procedure in two steps
        ([], "the worklist has none"),
        ([replace(PLANNED, patient=Patient(id="P2", issuer="HOSP"))], "only orders of other patients"),
        ([replace(PLANNED, patient=Patient(id="P1", issuer="OTHER"))], "only orders of other patients"),
        ([replace(PLANNED, patient=Patient())], "only orders of other patients"),
        ([replace(PLANNED, study_uid="9", accession_number="A2")], "only other orders of the patient"),
        ([PLANNED, replace(PLANNED, indication="fall")], "2 orders that may be meant"),
        ([replace(PLANNED, accession_number="")], "no accession number"),
        ([replace(PLANNED, accession_number="A2")], "another accession number than the images"),
    ],
)
def test_the_one_that_is_meant(case: Case, found: list[Scheduled], why: str) -> None:
    choice = choose(found, case)
    assert why in choice.why
    assert (choice.order is not None) == (why == "found")
    if choice.order:
        assert choice.order.indication == "cough"


@pytest.mark.parametrize("asked_for", [{}, {"accession_number": "*"}, {"patient_id": "P?"}, {"accession_number": " "}])
def test_nobody_is_asked_for_everything(asked_for: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="it asks for one"):
        find_scheduled(Peer(AE, "127.0.0.1", 1), **asked_for, calling_ae="X", timeout=1)
