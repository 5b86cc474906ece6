"""The message header: who sends what to whom (MSH, HL7 2.5.1 chapter 2.15.9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hl7.errors import Malformed
from hl7.escaping import STANDARD
from hl7.message import Segment, carets, segment
from hl7.timestamps import moment

LONGEST_CONTROL_ID = 20  # characters, MSH-10 up to version 2.6


@dataclass(frozen=True, slots=True)
class Application:
    """A system as HL7 addresses it: MSH-3 with MSH-4, or MSH-5 with MSH-6; carets separate components."""

    name: str
    facility: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """What a sender decides about a message before its content; a message sent again has the same header.

    Raises:
        Malformed: a control id that is empty or longer than 20 characters.
    """

    sender: Application
    receiver: Application
    control_id: str
    created: datetime
    processing_id: Literal["P", "T"] = "P"  # production or training (table 0103)

    def __post_init__(self) -> None:
        if not 0 < len(self.control_id) <= LONGEST_CONTROL_ID:
            raise Malformed(f"a control id of {len(self.control_id)} characters, wanted are 1 to {LONGEST_CONTROL_ID}")


def header_segment(header: Header, message_type: tuple[str, ...], version: str) -> Segment:
    """MSH, in UTF-8 and with the usual delimiters; `message_type` is MSH-9: code, trigger event, structure."""
    fields = segment(
        "MSH",
        {
            3: carets(header.sender.name),
            4: carets(header.sender.facility),
            5: carets(header.receiver.name),
            6: carets(header.receiver.facility),
            7: moment(header.created),
            9: message_type,
            10: header.control_id,
            11: header.processing_id,
            12: version,
            18: "UNICODE UTF-8",
        },
    )
    return "MSH", STANDARD.field, STANDARD.encoding_characters, *fields[3:]
