"""Answers to messages: writing one, reading one, and what a sender does about it (HL7 2.5.1 chapter 2.9 and 2.15.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast
from uuid import uuid4

from hl7.errors import BadField, Hl7Error, Malformed, Rejected, Unavailable
from hl7.message import Message, Segment
from hl7.timestamps import moment

# Original mode answers A., enhanced mode answers C. for safe storage alone (tables 0008 and 0155).
Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]

# AE and CE speak of the message's content, so the same message would fail again; AR and CR of anything else (2.9.2.2).
_OUTCOMES: Mapping[str, tuple[type[Hl7Error], str] | None] = {
    "AA": None,
    "CA": None,
    "AE": (Rejected, "the receiver found an error in the message: correct its cause before a new one is sent"),
    "CE": (Rejected, "the receiver found an error in the message: correct its cause before a new one is sent"),
    "AR": (Unavailable, "the receiver takes no messages at present: send the same message again later"),
    "CR": (Unavailable, "the receiver takes no messages at present: send the same message again later"),
}
# Table 0357: what is wrong with a field.
_ERRORS: Mapping[str, str] = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "203": "Unsupported version id",
    "205": "Duplicate key identifier",
}
_UNSUPPORTED = frozenset({"200", "201", "203"})  # the message may be well: it is rejected, and not in error


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What an answer says: its code, the control id of the message that it answers, and words for people."""

    code: str
    control_id: str
    text: str = ""


def acknowledge(message: Message, code: Code, text: str = "", error: Malformed | None = None) -> bytes:
    """The answer to `message`, in its version, delimiters and character set, with MSH-10 exactly as it was sent.

    An `error` is told in ERR as well.

    Raises:
        Malformed: `text` holds a character that HL7 or the sender's character set cannot carry.
    """
    delimiters = message.delimiters
    hat = delimiters.component
    _, trigger, structure = [*message.raw("MSH", 9).split(hat), "", ""][:3]
    header = (
        "MSH",
        delimiters.field,
        delimiters.encoding_characters,
        *(message.raw("MSH", number) for number in (5, 6, 3, 4)),
        moment(datetime.now(UTC)),
        "",
        hat.join(("ACK", trigger, "ACK" if structure else "")).rstrip(hat),  # 2.3 knows no third component
        uuid4().hex[:20],
        message.raw("MSH", 11),
        message.raw("MSH", 12),
        *[""] * 5,
        message.raw("MSH", 18),
    )
    answer = ("MSA", code, message.raw("MSH", 10), delimiters.escape(text))
    blame = (_error(message, error),) if error else ()
    return Message((header, answer, *blame), delimiters, message.charset).encode()


def answers(message: Message, error: Malformed | None = None) -> tuple[bytes, ...]:
    """All that is said to the sender of a message that was taken, or refused for `error`, in the mode that it asks for.

    Original mode is one answer, A. . Enhanced mode is C. where MSH-15 wants it, and then A. where MSH-16 does; of a
    message that is refused the sender hears once.
    """
    letter = "A" if error is None else "R" if _code(error) in _UNSUPPORTED else "E"
    accept, application = message.get("MSH", 15), message.get("MSH", 16)
    wanted = {"AL", "ER" if error else "SU"}
    modes = [mode for mode, when in (("C", accept), ("A", application)) if when in wanted]
    if not accept and not application:
        modes = ["A"]
    codes = [cast("Code", mode + letter) for mode in (modes[:1] if error else modes)]
    return tuple(acknowledge(message, code, str(error or ""), error) for code in codes)


def _code(error: Malformed) -> str:
    return error.code if isinstance(error, BadField) else "100"


def _error(message: Message, error: Malformed) -> Segment:
    """ERR, which version 2.5 made anew (chapter 2.15.5)."""
    d, code = message.delimiters, _code(error)
    place = d.component.join((error.segment, "1", str(error.field))) if isinstance(error, BadField) else ""
    if message.get("MSH", 12) >= "2.5":
        what = d.component.join((code, _ERRORS[code], "HL70357"))
        return ("ERR", "", place, what, "E", "", "", "", d.escape(str(error)))
    what = d.subcomponent.join((code, _ERRORS[code], "HL70357"))
    return ("ERR", d.component.join((place or d.component * 2, what)))


def read(raw: bytes) -> Acknowledgement:
    """The acknowledgement in an answer.

    Raises:
        Unavailable: it cannot be read as one, so the message may or may not have been taken.
    """
    try:
        answer = Message.parse(raw, default_charset="latin-1")  # takes every byte: code and control id are ASCII
    except Malformed as error:
        raise Unavailable(f"the answer cannot be read ({error}): send the same message again") from None
    code = answer.get("MSA", 1).strip()
    if code not in _OUTCOMES:
        raise Unavailable(f"the answer holds none of the codes {', '.join(_OUTCOMES)}: send the same message again")
    return Acknowledgement(code, answer.get("MSA", 2).strip(), answer.get("MSA", 3))


def settle(acknowledgement: Acknowledgement, sent_control_id: str) -> None:
    """Return if the message that was sent has been taken.

    Raises:
        Rejected: AE or CE; sending it again is no use.
        Unavailable: AR or CR, or an answer to another message; send the same message again later.
    """
    if acknowledgement.control_id != sent_control_id:
        raise Unavailable("the answer is to another message: send the same message again on a new connection")
    if refusal := _OUTCOMES[acknowledgement.code]:
        error, what = refusal
        raise error(f"{acknowledgement.code}: {what}")
