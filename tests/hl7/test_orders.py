from __future__ import annotations

from dataclasses import replace

import pytest

from hl7.errors import Malformed
from hl7.header import Header
from hl7.message import Message
from hl7.orders import Order, build_order, read_order
from hl7.patient import Identifier, Patient

MSH = "MSH|^~\\&|RIS|H|RADPLUG|H|20261123||{}|77|P|{}||||||UNICODE UTF-8\r"
PID = "PID|1||4711^^^H||Doe^Jane\r"


def order_in(text: str) -> Order:
    return read_order(Message.parse(text.encode()))


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5", "2.5.1"])
def test_orm_o01(version: str) -> None:
    order = order_in(
        MSH.format("ORM^O01", version)
        + PID
        + "PV1||O\rORC|NW|P1^HIS|F1^RIS\r"
        + "OBR|1|||71020^Chest 2 views \\T\\ more^C4||||||||||||||ACC1|RP1||||||||||||R05^cough~^fever\r"
        + "ZDS|1.2.3^RIS^Application^DICOM\r"
    )
    assert order == Order(
        accession_number="ACC1",
        placer_order_number="P1^HIS",
        filler_order_number="F1^RIS",
        procedure_code=("71020", "C4", "Chest 2 views & more"),
        requested_procedure_id="RP1",
        indication="cough; fever",
        study_uid="1.2.3",
        patient=(Identifier("4711", "H"),),
    )


def test_omi_o23() -> None:
    order = order_in(
        MSH.format("OMI^O23^OMI_O23", "2.5.1")
        + PID
        + "ORC|NW|X|Y\rTQ1|1\r"
        + "OBR|1|P1^HIS^1.2^ISO|F1^RIS|36643-5^Chest^LN|||||||||after fall\r"
        + "IPC|ACC2^RIS|RP2^RIS|1.2.4^RIS|SPS1\rIPC|ACC2^RIS|RP2^RIS|1.2.4^RIS|SPS2\r"
    )
    assert order == Order(
        accession_number="ACC2",
        placer_order_number="P1^HIS^1.2^ISO",
        filler_order_number="F1^RIS",
        procedure_code=("36643-5", "LN", "Chest"),
        requested_procedure_id="RP2",
        indication="after fall",
        study_uid="1.2.4",
        patient=(Identifier("4711", "H"),),
    )


@pytest.mark.parametrize(
    "segments",
    [
        "ORC|NW|P1|||||^^^^^S\rOBR|1|||CT\r",
        "ORC|NW|P1\rOBR|1|||CT" + "|" * 23 + "^^^^^S\r",
        "ORC|NW|P1|||||^^^^^R\rTQ1|1||||||||S\rOBR|1|||CT" + "|" * 23 + "^^^^^R\r",  # TQ1 is the newer place
    ],
    ids=["ORC-7", "OBR-27", "TQ1-9"],
)
def test_how_urgent_it_is(segments: str) -> None:
    assert order_in(MSH.format("ORM^O01", "2.3") + PID + segments).priority == "S"


def test_what_is_not_given_or_deleted_is_empty() -> None:
    order = order_in(MSH.format("ORM^O01", "2.3") + PID + 'ORC|NW|P1\rOBR|1|""||CT' + "|" * 14 + '""\r')
    assert replace(order, patient=()) == Order("", placer_order_number="P1", procedure_code=("CT", "", ""))


def test_a_built_order_is_read_back(order: Order, patient: Patient, header: Header) -> None:
    message = Message.parse(build_order(order, patient, header))
    theirs = (Identifier(patient.id, patient.authority, patient.authority_oid),)
    assert read_order(message) == replace(order, patient=theirs)
    assert (message.get("PID", 3), message.get("PID", 5, 1, 2)) == ("MRN1", "山田")
    assert read_order(Message.parse(build_order(Order("A"), patient, header))) == Order("A", patient=theirs)


@pytest.mark.parametrize(
    ("pid", "found"),
    [
        ("PID|1||1^^^A&1.2&ISO^MR~2^^^B^PI~3~4^^^C^AN~^^^D^MR", (("1", "A", "1.2"), ("2", "B", ""), ("3", "", ""))),
        ("PID|1||4^^^C^AN~5^^^C^SS", (("4", "C", ""),)),
        ("PID|1||", ()),
        ("PV1||O", ()),
    ],
)
def test_every_id_of_the_patient_and_no_account(pid: str, found: tuple[tuple[str, str, str], ...]) -> None:
    order = order_in(MSH.format("ORM^O01", "2.3") + pid + "\rORC|NW|P1\rOBR|1|||CT\r")
    assert order.patient == tuple(Identifier(*each) for each in found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (MSH.format("ADT^A08", "2.3") + PID, "neither ORM\\^O01 nor OMI\\^O23"),
        (MSH.format("ORM^O01", "2.3") + PID, "stands 0 times"),
        (MSH.format("ORM^O01", "2.3") + "OBR|1|A\rOBR|2|B\r", "stands 2 times"),
    ],
)
def test_what_is_not_one_order_is_refused(text: str, found: str) -> None:
    with pytest.raises(Malformed, match=found):
        order_in(text)
