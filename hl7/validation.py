"""A second opinion on a message that is to be sent: hl7apy's tables of segments, fields and data types.

hl7apy is met here and nowhere else, for it needs care. Its exceptions hold whole field values; it refuses texts of more
than 199 characters; and its tables for 2.3.1 and 2.7 make OBX-4 required where the standard makes it conditional. So it
is shown a copy without report text and with an OBX-4, and what it says is told without values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import ChildNotValid, HL7apyException, MaxChildLimitReached, ValidationError
from hl7apy.parser import parse_message, parse_segment

from hl7.message import TEXT_TYPES, Message, Segment

_NAMES_ONLY = (ValidationError, ChildNotValid, MaxChildLimitReached)  # these speak of elements, never of values


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a message: the place in HL7's spelling, and what is wrong there; never a value."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def validate(message: Message) -> tuple[Finding, ...]:
    """The first mistake that hl7apy's strict validation finds in `message` (versions 2.3.1 to 2.7), or nothing.

    Values outside their HL7 table are no mistakes to hl7apy.
    """
    copy = replace(message, segments=tuple(_without_text(segment) for segment in message.segments))
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


def _without_text(segment: Segment) -> Segment:
    match segment:
        case ("OBX", set_id, value_type, code, sub_id, _, *rest) if value_type in TEXT_TYPES:
            return ("OBX", set_id, value_type, code, sub_id or "1", "text", *rest)
        case ("OBX", set_id, value_type, code, sub_id, *rest):
            return ("OBX", set_id, value_type, code, sub_id or "1", *rest)
    return segment
