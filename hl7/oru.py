"""A draft report as an unsolicited result, ORU^R01 (HL7 2.5.1 chapter 7.3.1; IHE Radiology RAD-128).

    MSH PID PV1 ORC OBR  OBX study UID  OBX banner  OBX section ...
    MSH PID PV1 ORC OBR  OBX study UID  OBX banner  OBX PDF

The text of a section comes out of `read` byte for byte as it went into `build`: delimiters, spaces, blank lines and
every character of Unicode. What HL7 cannot carry (control characters but LF and tab) is refused, never dropped.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from hl7.errors import Malformed
from hl7.header import header_segment
from hl7.message import TEXT_TYPES, Field, Message, Segment, carets, segment
from hl7.overrides import Override, overridden
from hl7.patient import Patient, patient_segment
from hl7.result import BANNER, Device, Label, ReceivedResult, Result, ResultSection
from hl7.timestamps import known_digits, moment

STUDY_UID: Label = ("113014", "DCM", "DICOM Study")
ANY_PROCEDURE: Label = ("18748-4", "LN", "Diagnostic imaging study")  # OBR-4 must not be empty


@dataclass(frozen=True, slots=True)
class Version:
    """Where a version of HL7 differs from its neighbours, for this message."""

    structure: bool = True  # MSH-9 has its third component
    equipment: bool = True  # OBX-18 exists
    alphabets: bool = True  # PID-5 may repeat


VERSIONS: Mapping[str, Version] = {
    "2.3": Version(structure=False, equipment=False, alphabets=False),
    "2.3.1": Version(structure=False, equipment=False),
    "2.4": Version(),
    "2.5": Version(),
    "2.5.1": Version(),
    "2.6": Version(),
    "2.7": Version(),
    "2.8": Version(),
}

TextStyle = Literal["repeat", "line", "ft"]

# The OBX segments of one section: OBX-2 and OBX-5 of each.
_STYLES: Mapping[TextStyle, Callable[[str], list[tuple[str, Field]]]] = {
    "repeat": lambda text: [("TX", list(text.split("\n")))],
    "line": lambda text: [("TX", line) for line in text.split("\n")],
    "ft": lambda text: [("FT", text)],
}


# What says that ED is a PDF. Receivers compare the first letter as well: in lower case it is taken for a CDA document.
PDF_TYPE = ("Application", "PDF", "Base64")

_Observation = tuple[Label, str, Field]  # OBX-3, OBX-2, OBX-5


def build(
    result: Result, *, version: str = "2.5.1", text_style: TextStyle = "repeat", overrides: Sequence[Override] = ()
) -> bytes:
    """The message for `result`; the same result gives the same bytes.

    Raises:
        Malformed: a version that is not in VERSIONS, or a text that HL7 cannot carry.
    """
    sections = (ResultSection(*BANNER, result.banner), *result.sections)
    observations = [(each.label, *value) for each in sections for value in _STYLES[text_style](each.text)]
    return _build(result, observations, version, overrides)


def build_pdf(
    result: Result, title: Label, pdf: bytes, *, version: str = "2.5.1", overrides: Sequence[Override] = ()
) -> bytes:
    """A message with the report as a PDF in the place of its sections.

    It is one of its own because receivers that find a document keep nothing else of a message.

    Raises:
        Malformed: as for `build`.
    """
    document: Field = ("", *PDF_TYPE, b64encode(pdf).decode())
    return _build(result, [(BANNER, "TX", result.banner), (title, "ED", document)], version, overrides)


def _build(result: Result, observations: Sequence[_Observation], version: str, overrides: Sequence[Override]) -> bytes:
    if version not in VERSIONS:
        raise Malformed(f"results are sent in version {', '.join(VERSIONS)}: set one of these for the destination")
    message_type = ("ORU", "R01", "ORU_R01") if VERSIONS[version].structure else ("ORU", "R01")
    order = result.order
    numbers = {
        2: carets(order.placer_order_number),
        3: carets(order.filler_order_number or order.accession_number),  # a correction is filed by it, so never empty
    }
    procedure = order.procedure_code if any(order.procedure_code) else ANY_PROCEDURE
    message = Message(
        (
            header_segment(result.header, message_type, version),
            patient_segment(result.patient if VERSIONS[version].alphabets else _in_one_alphabet(result.patient)),
            segment("PV1", {1: "1", 2: result.patient_class}),
            segment("ORC", {1: "RE", **numbers}),
            segment(
                "OBR",
                {
                    1: "1",
                    **numbers,
                    4: _coded(procedure),
                    7: known_digits(result.study_datetime),
                    18: order.accession_number,
                    19: order.requested_procedure_id,
                    22: moment(result.header.created),
                    24: "RAD",
                    25: result.status,  # and OBR-32 stays empty: no human has interpreted anything
                },
            ),
            segment("OBX", {1: "1", 2: "ST", 3: _coded(STUDY_UID), 5: result.study_uid, 11: "O"}),
            *_observed(result, observations, VERSIONS[version]),
        )
    )
    return overridden(message, overrides, _numbers(result)).encode()


def _in_one_alphabet(patient: Patient) -> Patient:
    return replace(patient, name=next(filter(None, patient.name.split("=")), ""))


def _numbers(result: Result) -> Mapping[str, str]:
    """What overrides may ask for."""
    order = result.order
    return {
        "accession_number": order.accession_number,
        "placer_order_number": order.placer_order_number,
        "filler_order_number": order.filler_order_number,
        "requested_procedure_id": order.requested_procedure_id,
        "study_uid": result.study_uid,
        "patient_id": result.patient.id,
    }


def _coded(label: Label) -> tuple[str, str, str]:
    """A code in HL7's order: identifier, text, coding system."""
    code, scheme, name = label
    return code, name, scheme


def _observed(result: Result, observations: Sequence[_Observation], version: Version) -> Iterator[Segment]:
    device = result.device
    occurrences = Counter(label[:2] for label, *_ in observations)
    seen: Counter[tuple[str, ...]] = Counter()
    for number, (label, value_type, value) in enumerate(observations, 2):
        code = label[:2]  # a name does not tell observations apart, OBX-4 does
        seen[code] += 1
        yield segment(
            "OBX",
            {
                1: str(number),
                2: value_type,
                3: _coded(label),
                4: str(seen[code]) if occurrences[code] > 1 else "",
                5: value,
                11: result.status,
                14: moment(result.header.created),
                **({18: (device.name, device.namespace, device.uid, "ISO")} if version.equipment else {}),
            },
        )


def read(raw: bytes) -> ReceivedResult:
    """What a result message says, in whichever text style.

    Raises:
        Malformed: not a readable ORU^R01.
    """
    message = Message.parse(raw)
    if message.components("MSH", 9)[:2] != ("ORU", "R01"):
        raise Malformed("MSH-9 is not ORU^R01, so this is not a result")
    texts = texts_of(message)
    sections = [
        ResultSection(*label, "\n".join(line for obx in group for line in message.repetitions(obx, 5)))
        for label, group in groupby(texts, lambda obx: label_of(message, obx))
    ]
    name, namespace, uid = (message.get(texts[0], 18, component) if texts else "" for component in (1, 2, 3))
    return ReceivedResult(
        control_id=message.get("MSH", 10),
        accession_number=message.get("OBR", 18),
        placer_order_number="^".join(message.components("OBR", 2)),
        filler_order_number="^".join(message.components("OBR", 3)),
        study_uid=next(
            (message.get(obx, 5) for obx in message.all("OBX") if label_of(message, obx)[0] == STUDY_UID[0]), ""
        ),
        status=message.get("OBR", 25),
        observation_statuses=tuple(message.get(obx, 11) for obx in texts),
        device=Device(name, namespace, uid),
        banner="\n".join(section.text for section in sections if section.label == BANNER),
        sections=tuple(section for section in sections if section.label != BANNER),
    )


def texts_of(message: Message) -> list[Segment]:
    """The OBX segments that hold narrative."""
    return [obx for obx in message.all("OBX") if message.get(obx, 2) in TEXT_TYPES]


def pdf_of(message: Message) -> bytes | None:
    """The PDF that a message holds, if it does hold one.

    Raises:
        Malformed: what stands in its place is not Base64.
    """
    for obx in documents_of(message):
        if message.components(obx, 5)[1:4] == PDF_TYPE:
            try:
                return b64decode(message.get(obx, 5, 5), validate=True)
            except binascii.Error:
                raise Malformed("OBX-5.5 is not Base64, so there is no PDF to be read") from None
    return None


def documents_of(message: Message) -> list[Segment]:
    """The OBX segments that hold a document."""
    return [obx for obx in message.all("OBX") if message.get(obx, 2) == "ED"]


def label_of(message: Message, obx: Segment) -> Label:
    """What OBX-3 says the observation is."""
    return message.get(obx, 3, 1), message.get(obx, 3, 3), message.get(obx, 3, 2)
