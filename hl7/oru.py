"""A draft report as an unsolicited result, ORU^R01 (HL7 2.5.1 chapter 7.3.1; IHE Radiology RAD-128).

    MSH PID PV1 ORC OBR  OBX study UID  OBX banner  OBX section ...

The text of a section comes out of `read` byte for byte as it went into `build`: delimiters, spaces, blank lines and
every character of Unicode. What HL7 cannot carry (control characters but LF and tab) is refused, never dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from hl7.errors import Malformed
from hl7.header import header_segment
from hl7.message import TEXT_TYPES, Field, Message, Segment, carets, segment
from hl7.patient import patient_segment
from hl7.result import BANNER, Device, Label, ReceivedResult, Result, ResultSection
from hl7.timestamps import known_digits, moment

STUDY_UID: Label = ("113014", "DCM", "DICOM Study")
ANY_PROCEDURE: Label = ("18748-4", "LN", "Diagnostic imaging study")  # OBR-4 must not be empty


@dataclass(frozen=True, slots=True)
class Version:
    """Where a version of HL7 differs from its neighbours, for this message."""

    structure: bool = True  # MSH-9 has its third component
    equipment: bool = True  # OBX-18 exists


VERSIONS: Mapping[str, Version] = {
    "2.3.1": Version(structure=False, equipment=False),
    "2.4": Version(),
    "2.5": Version(),
    "2.5.1": Version(),
    "2.6": Version(),
    "2.7": Version(),
}

TextStyle = Literal["repeat", "line", "ft"]

# The OBX segments of one section: OBX-2 and OBX-5 of each.
_STYLES: Mapping[TextStyle, Callable[[str], list[tuple[str, Field]]]] = {
    "repeat": lambda text: [("TX", list(text.split("\n")))],
    "line": lambda text: [("TX", line) for line in text.split("\n")],
    "ft": lambda text: [("FT", text)],
}


def build(result: Result, *, version: str = "2.5.1", text_style: TextStyle = "repeat") -> bytes:
    """The message for `result`; the same result gives the same bytes.

    Raises:
        Malformed: a version that is not in VERSIONS, or a text that HL7 cannot carry.
    """
    if version not in VERSIONS:
        raise Malformed(f"results are sent in version {', '.join(VERSIONS)}: set one of these for the destination")
    message_type = ("ORU", "R01", "ORU_R01") if VERSIONS[version].structure else ("ORU", "R01")
    order = result.order
    numbers = {
        2: carets(order.placer_order_number),
        3: carets(order.filler_order_number or order.accession_number),  # a correction is filed by it, so never empty
    }
    procedure = order.procedure_code if any(order.procedure_code) else ANY_PROCEDURE
    return Message(
        (
            header_segment(result.header, message_type, version),
            patient_segment(result.patient),
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
            *_text_segments(result, VERSIONS[version], _STYLES[text_style]),
        )
    ).encode()


def _coded(label: Label) -> tuple[str, str, str]:
    """A code in HL7's order: identifier, text, coding system."""
    code, scheme, name = label
    return code, name, scheme


def _text_segments(
    result: Result, version: Version, style: Callable[[str], list[tuple[str, Field]]]
) -> Iterator[Segment]:
    sections = (ResultSection(*BANNER, result.banner), *result.sections)
    observations = [(section, *observation) for section in sections for observation in style(section.text)]
    device = result.device
    occurrences = Counter(section.label[:2] for section, *_ in observations)
    seen: Counter[tuple[str, ...]] = Counter()
    for number, (section, value_type, value) in enumerate(observations, 2):
        code = section.label[:2]  # a name does not tell observations apart, OBX-4 does
        seen[code] += 1
        yield segment(
            "OBX",
            {
                1: str(number),
                2: value_type,
                3: _coded(section.label),
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


def label_of(message: Message, obx: Segment) -> Label:
    """What OBX-3 says the observation is."""
    return message.get(obx, 3, 1), message.get(obx, 3, 3), message.get(obx, 3, 2)
