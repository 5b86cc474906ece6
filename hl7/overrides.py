"""Fields of a result as one receiver wants them: which ones a site may set, and setting them.

    "OBR-24" = "CT"    "OBR-20" = "{accession_number}"    "ZDS-1" = "{study_uid}^RADPLUG^Application^DICOM"

A value is a field's content as it stands in a message, separators and escape sequences included. What makes a message
a draft, and what says whose it is, cannot be set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hl7.errors import Malformed
from hl7.escaping import STANDARD, escape, unescape
from hl7.message import Message, Segment

NUMBERS = (
    "accession_number",
    "placer_order_number",
    "filler_order_number",
    "requested_procedure_id",
    "study_uid",
    "patient_id",
)
_NUMBER = re.compile(r"\{(\w*)\}")

# Segment and field to the reason why nobody sets it.
_OURS: Mapping[str, Mapping[int, str]] = {
    "MSH": dict.fromkeys((1, 2, 7, 9, 10, 18), "is what the message is read by")
    | {11: "has the setting processing_id", 12: "has the setting version"},
    "PID": dict.fromkeys((1, 3, 5, 7, 8), "says who the patient is"),
    "PV1": {1: "counts"},
    "ORC": {},
    "OBR": {1: "counts", 25: "says that the report is a draft; P in the place of R has the setting status"}
    | dict.fromkeys((32, 33, 34, 35), "names a person who has read the images, and nobody has"),
    "OBX": dict.fromkeys((1, 2, 3, 4, 5, 14, 18), "is the report itself")
    | {11: "says that the text is a draft; P in the place of R has the setting status"}
    | {16: "names a person who has read the images, and nobody has"},
}
_ORDER_NUMBERS = frozenset({("ORC", 2), ("ORC", 3), ("OBR", 2), ("OBR", 3), ("OBR", 18)})
_DONE = "CM"  # table 0038: the order is completed


@dataclass(frozen=True, slots=True)
class Override:
    """The content of a field, with `{numbers}` that each message fills in.

    Raises:
        Malformed: it may not be set, or not to this.
    """

    segment: str
    field: int
    content: str

    def __post_init__(self) -> None:
        where = f"{self.segment}-{self.field}"
        ours = {} if self.segment.startswith("Z") else _OURS.get(self.segment)
        if ours is None:
            raise Malformed(f"{where} cannot be set: wanted is a field of {', '.join(_OURS)}, or of a Z segment")
        if self.field in ours:
            raise Malformed(f"{where} cannot be set: it {ours[self.field]}")
        if unknown := set(_NUMBER.findall(self.content)) - set(NUMBERS):
            raise Malformed(f"{where} holds {{{min(unknown)}}}: known are {', '.join(f'{{{one}}}' for one in NUMBERS)}")
        if not _is_content(_NUMBER.sub("", self.content)):
            raise Malformed(
                f"{where} holds | or a control character, or a \\ that begins no escape sequence: write \\F\\"
            )
        if (self.segment, self.field) in _ORDER_NUMBERS and not _NUMBER.fullmatch(self.content):
            raise Malformed(f"{where} would be the same in every message: set it to one of the numbers in braces")
        if (self.segment, self.field) == ("ORC", 5) and _DONE in re.split(r"[\^&~]", self.content):
            raise Malformed(f"{where} would say that the order is completed, and a draft completes none")


def overrides(fields: Mapping[str, str]) -> tuple[Override, ...]:
    """The overrides that stand in settings, by field: `{"OBR-24": "CT"}`.

    Raises:
        Malformed: a key that names no field, or a field that may not be set so.
    """
    named = []
    for where, content in fields.items():
        found = re.fullmatch(r"([A-Z][A-Z0-9]{2})-([1-9]\d?)", where)
        if not found:
            raise Malformed("a field is named by segment and number, as in OBR-24")
        named.append(Override(found[1], int(found[2]), content))
    return tuple(named)


def overridden(message: Message, fields: Sequence[Override], numbers: Mapping[str, str]) -> Message:
    """The message with fields set; in OBX all but the study UID's, a Z segment that is not there at its end.

    Raises:
        Malformed: a number holds a character that HL7 cannot carry.
    """
    segments = list(message.segments)
    for each in fields:
        if all(segment[0] != each.segment for segment in segments):
            segments.append((each.segment,))
        content = _NUMBER.sub(lambda found: _escaped(numbers[found[1]]), each.content)
        places = [at for at, segment in enumerate(segments) if segment[0] == each.segment]
        for at in places[each.segment == "OBX" :]:
            segments[at] = _with(segments[at], each.field, content)
    return replace(message, segments=tuple(segments))


def _with(segment: Segment, field: int, content: str) -> Segment:
    padded = segment + ("",) * (field + 1 - len(segment))
    return (*padded[:field], content, *padded[field + 1 :])


def _escaped(number: str) -> str:
    """A number with carets, such as `ORD1^RIS`, as components."""
    return STANDARD.component.join(escape(part) for part in number.split("^"))


def _is_content(content: str) -> bool:
    try:
        return all(escape(unescape(part)) == part for part in re.split(r"[\^&~]", content))
    except Malformed:
        return False
