"""The wrong-patient guard: what contradicts the case is stopped at the door, and goes once the cause is mended."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa
from houses import receive_file, send_study
from peers import free_port
from rich.console import Console

from dicom_io.study import Instance, Patient
from hl7 import acknowledgement
from hl7.orders import Order
from hl7.patient import Identifier as Hl7Identifier
from radplug import pipeline, show
from radplug.acceptance import synthetic_study
from radplug.acceptance.simulated_fhir_server import SimulatedFhirServer
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.domain import Case, CaseState, DeliveryState, DocumentKind, WrongPatient
from radplug.fhir.open_report import OpenReport
from radplug.fhircast.reading_room import ReadingRoom
from radplug.hl7_in import inbox
from radplug.patient_guard import Claim, Known, Source, contradictions, identifiers, of_order
from radplug.priors import Prior, PriorState
from radplug.records.schema import audit, drafts
from radplug.records.viewing import PRIORS
from radplug.settings import FhircastSettings
from radplug.wiring import House

STOPPED = "stopped: wrong patient guard: "
SHAPES = ["basic-text-sr", "comprehensive-3d-sr", "pdf", "secondary-capture"]
OTHER = "SOMEBODY"


# ── the rules ──

OURS = identifiers("4711", "HOSP")
CASE = Claim(Source.CASE, (*OURS, *identifiers("OLD")), "A1", "1.2")


@pytest.mark.parametrize(
    ("claim", "field"),
    [
        (Claim(Source.IMAGE, identifiers("4711")), ""),
        (Claim(Source.IMAGE, identifiers(" 4711 ", "HOSP")), ""),
        (Claim(Source.IMAGE, identifiers("OLD", "ELSEWHERE")), ""),  # was merged, whoever had issued it
        (Claim(Source.IMAGE, identifiers("4711", "1.2.840.1")), ""),  # an OID beside a name tells nothing
        (Claim(Source.IMAGE, (), "A1", "1.2"), ""),
        (Claim(Source.IMAGE, identifiers("4711", "OTHER")), "issuer of the Patient ID"),
        (Claim(Source.IMAGE, identifiers("4712", "HOSP")), "Patient ID"),
        (Claim(Source.IMAGE, OURS, "A2"), "accession number"),
        (Claim(Source.PRIOR, identifiers("4712")), "Patient ID"),
        (Claim(Source.ORDER, (*identifiers("1"), *identifiers("4711")), "A1", "1.2"), ""),
        (Claim(Source.ORDER, OURS, "A1", "1.3"), ""),  # the modality has made its own
        (Claim(Source.ORDER, (), "A1", "1.3"), "Study Instance UID"),  # nothing says that it is this patient's
        (Claim(Source.ORDER, identifiers("4712"), "A1"), "Patient ID"),
        (Claim(Source.DOCUMENT, OURS, "", "1.2"), ""),
        (Claim(Source.DOCUMENT, OURS, "A1", "1.3"), "Study Instance UID"),
        (Claim(Source.DOCUMENT, identifiers("4712"), "A2", "1.2"), "Patient ID and another accession number"),
    ],
)
def test_what_is_told_must_be_equal_and_what_is_not_told_contradicts_nothing(claim: Claim, field: str) -> None:
    wanted = (f"{claim.source} names another {field} than the case",) if field else ()
    assert contradictions(Known(CASE, (claim,))) == wanted


def test_a_document_must_name_the_study_and_no_patient_that_nobody_has_told_it() -> None:
    assert contradictions(Known(CASE), [Claim(Source.DOCUMENT, OURS)]) == ("the document names no Study Instance UID",)
    nobody = replace(CASE, patient=())
    (why,) = contradictions(Known(nobody), [Claim(Source.DOCUMENT, OURS, "", "1.2")])
    assert why == "the document names another Patient ID than the case"
    assert contradictions(Known(nobody, (Claim(Source.ORDER, OURS, "A1", "1.2"),))) == ()


def test_an_order_is_anybodys_whom_one_of_its_ids_names() -> None:
    order = Order("A1", patient=(Hl7Identifier("9"), Hl7Identifier("4711", "ISS", "1.2.3")))
    theirs = of_order(order)
    for issuer, agrees in (("", True), ("ISS", True), ("1.2.3", True), ("ISS2", False), ("1.2.4", False)):
        assert (contradictions(Known(Claim(Source.CASE, identifiers("4711", issuer)), (theirs,))) == ()) is agrees


# ── at the door ──


@dataclass
class Ward:
    """A house with every kind of destination, over sockets."""

    house: House
    pacs: SimulatedPacs
    ris: SimulatedRis
    fhir: SimulatedFhirServer

    def tell(self, kind: str, *segments: str) -> None:
        """A message from the hospital, under an id of its own."""
        raw = "\r".join((f"MSH|^~\\&|RIS|H|||1||{kind}|{free_port()}|P|2.5", *segments))
        (answer,) = inbox.take(self.house, raw.encode())
        assert acknowledgement.read(answer).code == "AA"

    def order(self, case: Case, patient: str, control: str = "NW") -> None:
        pid = (f"PID|1||{patient}",) if patient else ()
        obr = f"OBR|1|P1|F1|71020^Chest^C4|||||||||cough|||||{case.accession_number}"
        self.tell("ORM^O01", *pid, f"ORC|{control}|P1|F1", obr)

    def draft(self, case: Case) -> Case:
        pipeline.draft(self.house, case.id, "worker")
        return self.house.viewing.case(case.id)

    def states(self, case: Case) -> set[DeliveryState]:
        """Once what is due was attempted: of a version, the RIS has two messages, one after the other."""
        for _ in range(4):
            pipeline.deliver(self.house, case.id)
        return {delivery.state for delivery in self.house.viewing.deliveries(case.id)}

    def outcomes(self, case: Case) -> set[str]:
        return {delivery.outcome for delivery in self.house.viewing.deliveries(case.id)}

    def alarms(self, event: str = "wrong patient stopped") -> list[dict[str, Any]]:
        rows = sa.select(audit.c.detail).where(audit.c.event == event).order_by(audit.c.id)
        with self.house.database.reading() as connection:
            found = list(connection.scalars(rows))
        assert all(each["alarm"] is True for each in found)
        return found

    @property
    def received(self) -> int:
        return len(self.pacs.received) + len(self.ris.received) + len(self.fhir.reports)

    def is_stopped(self, case: Case, why: str) -> None:
        """Every delivery, each with an alarm, and nothing has left."""
        before = len(self.alarms())
        assert self.states(case) == {DeliveryState.DEAD}
        assert self.outcomes(case) == {STOPPED + why}
        assert [each["outcome"] for each in self.alarms()[before:]] == [STOPPED + why] * len(self.deliveries(case))
        assert self.received == 0

    def deliveries(self, case: Case) -> tuple[Any, ...]:
        return self.house.viewing.deliveries(case.id)

    def goes(self, case: Case) -> None:
        """Once it has been sent again."""
        assert self.house.delivering.resend(case.id, self.house.now())
        assert self.states(case) == {DeliveryState.DELIVERED}
        assert self.received


@pytest.fixture
def ward(build: Callable[..., House], tmp_path: Path) -> Iterator[Ward]:
    with ExitStack() as stack:
        pacs = stack.enter_context(SimulatedPacs("PACS", tmp_path / "pacs"))
        ris = stack.enter_context(SimulatedRis(tmp_path / "ris"))
        fhir = stack.enter_context(SimulatedFhirServer())
        peer = {"host": "127.0.0.1", "timeout_seconds": 30}
        house = build(
            drafting={"assume_body_part": "CHEST"},
            pacs=[{"name": "pacs", "ae_title": "PACS", "port": pacs.port, "shapes": SHAPES, **peer}],
            reporting=[{"name": "ris", "port": ris.port, "pdf": True, "assigning_authority": "SITE", **peer}],
            fhir=[{"name": "fhir", "url": fhir.url}],
        )
        yield Ward(house, pacs, ris, fhir)


def another_image(folder: Path, case: Case, **elements: str) -> Path:
    """An image of the case's study that says something else."""
    (file,) = synthetic_study.write(folder, 1_000_000_002, case.first_received_at, size=128).files
    image = pydicom.dcmread(file)
    image.StudyInstanceUID, image.AccessionNumber = case.study_uid, case.accession_number
    for keyword, value in elements.items():
        setattr(image, keyword, value)
    image.save_as(file)
    return file


def test_an_order_of_another_patient_lends_nothing_and_stops_the_case_until_it_is_mended(
    ward: Ward, tmp_path: Path
) -> None:
    case = send_study(ward.house, tmp_path / "study")
    ward.order(case, OTHER)
    assert ward.house.drafting.order(case) is None  # neither pages nor rules are told of it
    case = ward.draft(case)
    assert ward.house.viewing.drafts(case.id)[-1].order is None
    why = "the order names another Patient ID than the case"
    assert [each["reason"] for each in ward.alarms("order left out")] == [why]
    ward.is_stopped(case, why)
    assert ward.house.viewing.case(case.id).state is CaseState.DRAFTED

    shown = StringIO()
    show.case(Console(file=shown, width=400), ward.house.viewing.whole(case.id), as_json=False)
    assert STOPPED + why in shown.getvalue()
    assert "alarm True" in shown.getvalue()
    assert {letter.outcome for letter in ward.house.viewing.dead_letters()} == {STOPPED + why}
    assert OTHER not in shown.getvalue()

    ward.house.delivering.resend(case.id, ward.house.now())
    ward.is_stopped(case, why)  # nothing was mended
    files = {
        each.document.file: ward.house.store.path(each.document.file).read_bytes() for each in ward.deliveries(case)
    }
    ward.tell("ADT^A40", f"PID|1||{case.patient.id}", f"MRG|{OTHER}")
    ward.goes(case)
    assert {file: ward.house.store.path(file).read_bytes() for file in files} == files
    assert ward.house.drafting.order(case) is not None


def test_an_order_that_comes_between_the_draft_and_its_sending_counts(ward: Ward, tmp_path: Path) -> None:
    case = ward.draft(send_study(ward.house, tmp_path / "study"))
    ward.order(case, OTHER)
    ward.is_stopped(case, "the order names another Patient ID than the case")
    ward.order(case, case.patient.id, "XO")
    ward.goes(case)


def test_images_of_two_patients_in_one_study(ward: Ward, tmp_path: Path) -> None:
    case = send_study(ward.house, tmp_path / "study")
    case = ward.draft(receive_file(ward.house, another_image(tmp_path / "b", case, PatientID=OTHER)))
    ward.is_stopped(
        case, "an image names another Patient ID than the case; the study has images of more than one patient"
    )
    ward.tell("ADT^A40", f"PID|1||{case.patient.id}", f"MRG|{OTHER}")
    ward.goes(case)


def test_another_accession_number_in_an_image(ward: Ward, tmp_path: Path) -> None:
    case = send_study(ward.house, tmp_path / "study")
    case = ward.draft(receive_file(ward.house, another_image(tmp_path / "b", case, AccessionNumber="A2")))
    ward.is_stopped(case, "an image names another accession number than the case")


def test_an_image_that_was_corrected_and_sent_again_counts_as_it_is_now(ward: Ward, tmp_path: Path) -> None:
    case = send_study(ward.house, tmp_path / "study")
    file = another_image(tmp_path / "b", case, PatientID=OTHER)
    receive_file(ward.house, file)
    image = pydicom.dcmread(file)
    image.PatientID = case.patient.id
    image.save_as(file)
    case = ward.draft(receive_file(ward.house, file))
    assert ward.states(case) == {DeliveryState.DELIVERED}


def test_an_earlier_study_of_another_patient(ward: Ward, tmp_path: Path) -> None:
    case = ward.draft(send_study(ward.house, tmp_path / "study"))

    def compared_with(patient: Patient) -> None:
        image = Instance("1.2.9", "1.2.840.10008.5.1.4.1.1.1", "1.2.8", "1.2.7", "1.2.840.10008.1.2.1", "DX", patient)
        prior = Prior("1.2.7", "pacs", PriorState.SUPPLIED, images=(image,))
        with ward.house.database.writing() as connection:
            told = PRIORS.dump_python((prior,), mode="json")
            connection.execute(sa.update(drafts).where(drafts.c.case_id == case.id).values(priors=told))

    compared_with(Patient(OTHER))
    ward.is_stopped(case, "an earlier study that the draft was compared with names another Patient ID than the case")
    compared_with(Patient(case.patient.id, "HOSP"))
    ward.goes(case)


def forged(data: bytes, kind: DocumentKind, old: str, new: str) -> bytes:
    """The document with a text in place of another of the same length; a DiagnosticReport's SR stays as it is."""
    assert len(old) == len(new)
    spoilt = data.replace(old.encode(), new.encode())
    assert spoilt != data, kind
    return spoilt


def forged_within(data: bytes, old: str, new: str) -> bytes:
    """A DiagnosticReport, only the SR within which is another."""
    report = json.loads(data)
    (form,) = (each for each in report["presentedForm"] if each["contentType"] == "application/dicom")
    form["data"] = b64encode(forged(b64decode(form["data"]), DocumentKind.SR, old, new)).decode()
    return json.dumps(report, ensure_ascii=False).encode()


def test_a_document_that_names_another_never_leaves_whatever_its_kind(ward: Ward, tmp_path: Path) -> None:
    case = ward.draft(send_study(ward.house, tmp_path / "study"))
    last = "1" if case.study_uid[-1] != "1" else "2"
    changes = {
        "Patient ID": (case.patient.id, case.patient.id[:-1] + "9"),
        "Study Instance UID": (case.study_uid, case.study_uid[:-1] + last),
        "accession number": (case.accession_number, "X" * len(case.accession_number)),
    }
    assert {each.document.kind for each in ward.deliveries(case)} == set(DocumentKind)
    for delivery in ward.deliveries(case):
        kind, path = delivery.document.kind, ward.house.store.path(delivery.document.file)
        fit = path.read_bytes()
        for field, (old, new) in changes.items():
            spoilt = [forged(fit, kind, old, new)]
            if kind is DocumentKind.FHIR:
                spoilt.append(forged_within(fit, old, new))
            for data in spoilt:
                path.write_bytes(data)
                with pytest.raises(WrongPatient, match=f"^{STOPPED}the document names another {field} than the case$"):
                    raise AssertionError(f"{kind}, {field}: {ward.house.destinations.send(delivery)}")
        path.write_bytes(fit)
    assert ward.received == 0


def test_one_forged_document_stops_its_own_delivery_alone(ward: Ward, tmp_path: Path) -> None:
    case = ward.draft(send_study(ward.house, tmp_path / "study"))
    sr = next(each for each in ward.deliveries(case) if each.document.kind is DocumentKind.SR)
    path = ward.house.store.path(sr.document.file)
    fit = path.read_bytes()
    path.write_bytes(forged(fit, DocumentKind.SR, case.patient.id, case.patient.id[:-1] + "9"))
    assert ward.states(case) == {DeliveryState.DELIVERED, DeliveryState.DEAD}
    dead = [each.id for each in ward.deliveries(case) if each.state is not DeliveryState.DELIVERED]
    assert dead == [sr.id]
    (alarm,) = ward.alarms()
    assert (alarm["document"], alarm["destination"]) == (sr.document.id, "pacs")
    assert sr.document.id not in {pydicom.dcmread(file).SOPInstanceUID for file in ward.pacs.received}
    path.write_bytes(fit)
    ward.goes(case)


def test_rows_on_each_kind_of_database(build: Callable[..., House], tmp_path: Path, database_url: str) -> None:
    house = build(database={"url": database_url})
    case = send_study(house, tmp_path / "study")
    house.receiving.add_order(Order(case.accession_number, patient=(Hl7Identifier(OTHER, "HIS"),)), house.now())
    assert house.identities.misfits(case) == ("the order names another Patient ID than the case",)
    known = house.identities.of(case.id, 1)
    assert known.case == Claim(Source.CASE, identifiers(case.patient.id), case.accession_number, case.study_uid)
    image = replace(known.case, source=Source.IMAGE)
    assert known.others == (image, Claim(Source.ORDER, identifiers(OTHER, "HIS"), case.accession_number))


# ── what happens every day, and must not be stopped ──


def test_merges_around_a_draft_on_its_way_and_an_order_under_the_former_id(ward: Ward, tmp_path: Path) -> None:
    case = send_study(ward.house, tmp_path / "study")
    ward.order(case, f"NUMBER-AT-THE-PRACTICE^^^PRACTICE^AN~{case.patient.id}^^^HIS&1.2.3&ISO^MR")
    case = ward.draft(case)
    ward.tell("ADT^A40", "PID|1||NEW^^^HIS", f"MRG|{case.patient.id}")
    ward.tell("ADT^A47", "PID|1||LAST^^^HIS", "MRG|NEW^^^HIS")
    assert ward.states(case) == {DeliveryState.DELIVERED}  # version 1 goes under the former id
    case = ward.draft(ward.house.viewing.case(case.id))
    assert (case.version, case.patient.id) == (2, "LAST")
    assert ward.house.viewing.drafts(case.id)[-1].order is not None
    assert ward.states(case) == {DeliveryState.DELIVERED}
    assert not ward.alarms()
    assert not ward.alarms("order left out")


def test_an_issuer_that_is_told_later_is_not_held_against_the_sites_own(ward: Ward, tmp_path: Path) -> None:
    case = ward.draft(send_study(ward.house, tmp_path / "study"))
    ward.tell("ADT^A08", f"PID|1||{case.patient.id}^^^HIS||Phantom^Demo")
    assert ward.house.viewing.case(case.id).patient.issuer == "HIS"
    assert ward.states(case) == {DeliveryState.DELIVERED}  # its ORU says SITE, as the settings want it


def test_ids_as_modalities_write_them(ward: Ward, tmp_path: Path) -> None:
    for number, (id, charset) in enumerate((("Grün 1|^&~\\7", "ISO_IR 100"), ("山田-1", "ISO_IR 192"), ("", ""))):
        (file,) = synthetic_study.write(tmp_path / str(number), 1, ward.house.now(), size=128).files
        image = pydicom.dcmread(file)
        image.SpecificCharacterSet, image.PatientID = charset, id
        image.save_as(file)
        case = ward.draft(receive_file(ward.house, file))
        ward.states(case)
        assert not ward.alarms()


# ── an open report ──


def test_a_report_that_is_open_gets_no_draft_of_another_patient(ward: Ward, tmp_path: Path) -> None:
    case = ward.draft(send_study(ward.house, tmp_path / "study"))
    room = ReadingRoom(ward.house, FhircastSettings(name="hub", url="https://127.0.0.1:1", topics={"room": "t"}), "hub")

    def opened(id: str, accession_number: str = case.accession_number) -> OpenReport:
        return OpenReport(id, "1", case.study_uid, accession_number, "p", "1")

    assert room.draft_for(opened("a"))
    assert room.draft_for(opened("b", "A2")) is None
    ward.order(case, OTHER)
    assert room.draft_for(opened("c")) is None
    assert room.draft_for(opened("c")) is None  # and one alarm is enough
    assert [each["outcome"] for each in ward.alarms()] == [
        f"{STOPPED}the report that is open names another accession number than the case",
        f"{STOPPED}the order names another Patient ID than the case",
    ]
