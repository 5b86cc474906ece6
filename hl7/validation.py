"""A second opinion on a message that is to be sent: hl7apy's tables of segments, fields and data types.

hl7apy is met here and nowhere else, for it needs care. Its exceptions hold whole field values; it refuses texts of more
than 199 characters; its tables make OBX-4 required (2.3.1, 2.7), and ORC-7 and OBR-27 (2.3), where the standard does
not; and of 2.8, which has nothing new for what is sent here, it takes the OBR for a second order. So it is shown a copy
with these fields, as 2.7 instead of 2.8, and without report text, documents and Z segments; what it says is told
without values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import ChildNotValid, HL7apyException, MaxChildLimitReached, ValidationError
from hl7apy.parser import parse_message, parse_segment

from hl7.message import TEXT_TYPES, Message, Segment

_NAMES_ONLY = (ValidationError, ChildNotValid, MaxChildLimitReached)  # these speak of elements, never of values

_TIMING = {"ORC": 7, "OBR": 27}  # quantity and timing, where 2.3 has them


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a message: the place in HL7's spelling, and what is wrong there; never a value."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def validate(message: Message) -> tuple[Finding, ...]:
    """The first mistake that hl7apy's strict validation finds in `message` (versions 2.3 to 2.8), or nothing.

    Values outside their HL7 table are no mistakes to hl7apy.
    """
    copy = replace(
        message,
        segments=tuple(_shown(segment, message.get("MSH", 12)) for segment in message.segments if segment[0][0] != "Z"),
    )
    try:
        parse_message(copy.encode().decode(copy.charset), validation_level=VALIDATION_LEVEL.STRICT).validate()
    except _NAMES_ONLY as error:
        return (Finding("structure", f"is not valid: {error}"),)
    except (HL7apyException, ValueError) as error:
        return (Finding(_place(copy), f"holds a value that does not fit its data type: {type(error).__name__}"),)
    return ()


def _place(message: Message) -> str:
    """The first segment that hl7apy cannot read by itself."""
    for number, (name, *fields) in enumerate(message.segments[1:], 2):
        try:
            line = message.delimiters.field.join((name, *fields))
            parse_segment(line, version=message.get("MSH", 12), validation_level=VALIDATION_LEVEL.STRICT)
        except (HL7apyException, ValueError):
            return f"{name} (segment {number})"
    return "MSH"


def _shown(segment: Segment, version: str) -> Segment:
    match segment:
        case ("ORC" | "OBR" as name, *fields) if version == "2.3" and len(fields) < _TIMING[name]:
            return (name, *fields, *[""] * (_TIMING[name] - 1 - len(fields)), "1")
        case ("MSH", *fields) if fields[11:12] == ["2.8"]:
            return ("MSH", *fields[:11], "2.7", *fields[12:])
        case ("OBX", set_id, "ED", code, sub_id, _, *rest):
            return ("OBX", set_id, "ED", code, sub_id or "1", "^Application^PDF^Base64^text", *rest)
        case ("OBX", set_id, value_type, code, sub_id, _, *rest) if value_type in TEXT_TYPES:
            return ("OBX", set_id, value_type, code, sub_id or "1", "text", *rest)
        case ("OBX", set_id, value_type, code, sub_id, *rest):
            return ("OBX", set_id, value_type, code, sub_id or "1", *rest)
    return segment
