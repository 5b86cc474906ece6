"""Text of reports: ORU^R01, MDM^T02 and T08 of dictation and reporting systems (HL7 2.5.1 chapters 7.3 and 9.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from itertools import groupby

from hl7.errors import BadField
from hl7.message import Message, Segment
from hl7.oru import STUDY_UID, label_of, texts_of
from hl7.patient import Patient, read_patient
from hl7.timestamps import read_moment

NARRATIVE_MESSAGES = frozenset({("ORU", "R01"), ("MDM", "T02"), ("MDM", "T08")})

_STILL_OPEN = {
    "ORU": frozenset({"", "P", "R", "A", "I", "S"}),  # OBR-25, table 0123
    "MDM": frozenset({"", "DI", "DO", "IN", "IP"}),  # TXA-17, table 0271
}
_SIGNED = {"ORU": frozenset({"F", "C"}), "MDM": frozenset({"AU", "LA"})}
_SIGNED_TEXT = frozenset({"F", "C", "U"})  # OBX-11, table 0085
_GONE = frozenset({"D", "N", "W", "X"})  # OBX-11: such an observation is not, or no longer, there
_NO_RESULT = "X"  # OBR-25
_AVAILABLE, _TAKEN_BACK = frozenset({"", "AV"}), frozenset({"CA", "OB"})  # TXA-19, table 0273


class Standing(Enum):
    """How far a report has come."""

    OPEN = auto()  # nobody has signed it yet
    SIGNED = auto()  # it is final, or a signed one was corrected
    WITHDRAWN = auto()  # it was taken back
    UNCLEAR = auto()  # none of these for certain


@dataclass(frozen=True, slots=True)
class Passage:
    """Text under one observation identifier."""

    code: str  # OBX-3.1
    name: str  # OBX-3.2
    text: str  # lines ended by LF


@dataclass(frozen=True, slots=True)
class Narrative:
    """What a message says of one report."""

    accession_number: str  # empty: the study is named by its UID alone
    standing: Standing
    passages: tuple[Passage, ...]  # none where it is withdrawn
    devices: frozenset[str]  # OIDs of the equipment that observed (OBX-18.3)


def read_narrative(message: Message) -> Narrative:
    """The text of a message, OBX segments with one identifier that follow each other taken together.

    Raises:
        BadField: another message, more than one report, neither accession number nor study, or no text.
    """
    kind = message.get("MSH", 9)
    if (kind, message.get("MSH", 9, 2)) not in NARRATIVE_MESSAGES:
        raise BadField("MSH", 9, "200", "is none of ORU^R01, MDM^T02 and MDM^T08, so this is no text of a report")
    if (found := len(message.all("OBR"))) > 1:
        raise BadField(
            "OBR", 1, "100", f"stands {found} times, wanted is once: each report must be a message of its own"
        )
    places = (("OBR", 18), ("TXA", 15), ("OBR", 3))
    accession = next((number for segment, field in places if (number := message.get(segment, field))), "")
    if not accession and not study_of(message):
        raise BadField("OBR", 18, "101", "is empty, wanted is the accession number (or TXA-15, or OBR-3)")
    written = texts_of(message)
    texts = [obx for obx in written if message.get(obx, 11) not in _GONE]
    standing = _standing(message, kind, texts, had_text=bool(written))
    passages = [
        Passage(
            label[0], label[2], "\n".join(line for obx in group for line in message.repetitions(obx, 5)).strip("\n ")
        )
        for label, group in groupby(texts, lambda obx: label_of(message, obx))
    ]
    if standing is not Standing.WITHDRAWN and not any(passage.text for passage in passages):
        raise BadField("OBX", 5, "101", "holds no text in any segment whose OBX-2 is TX or FT")
    return Narrative(
        accession_number=accession,
        standing=standing,
        passages=tuple(passage for passage in passages if passage.text and standing is not Standing.WITHDRAWN),
        devices=frozenset(filter(None, (message.get(obx, 18, 3) for obx in written))),
    )


def patient_of(message: Message) -> Patient | None:
    """Whose report it is; None where it names nobody, or several."""
    people = message.all("PID")
    try:
        return read_patient(message, people[0]) if len(people) == 1 else None
    except BadField:
        return None


def study_of(message: Message) -> str:
    """The Study Instance UID as it stands in a message: an observation (IHE RAD-128), IPC-3 or ZDS-1; else empty."""
    observed = (message.get(obx, 5) for obx in message.all("OBX") if label_of(message, obx)[0] == STUDY_UID[0])
    return next(filter(None, observed), "") or message.get("IPC", 3) or message.get("ZDS", 1)


def stated_at(message: Message) -> datetime | None:
    """When the report came to say what it says, naive where the offset from UTC is not told; None: not told.

    That is OBR-22, when its status changed, for a document TXA-22.15, when it was authenticated, or TXA-8, when it was
    edited; else MSH-7, when the message was made.
    """
    told = (
        *((("OBR", 22, 1),) if message.get("MSH", 9) == "ORU" else (("TXA", 22, 15), ("TXA", 8, 1))),
        ("MSH", 7, 1),
    )
    return next((when for place in told if (when := read_moment(message.get(*place)))), None)


def _standing(message: Message, kind: str, texts: Sequence[Segment], *, had_text: bool) -> Standing:
    """What OBR-25 or TXA-17 and TXA-19, and OBX-11 of each text, agree upon."""
    status = message.get(*(("OBR", 25) if kind == "ORU" else ("TXA", 17)))
    availability = message.get("TXA", 19) if kind == "MDM" else ""
    of_texts = {message.get(obx, 11) for obx in texts} - {""}
    if (kind == "ORU" and status == _NO_RESULT) or availability in _TAKEN_BACK:
        return Standing.WITHDRAWN
    if status in _SIGNED[kind] or (kind == "ORU" and not status and of_texts and of_texts <= _SIGNED_TEXT):
        if status and had_text and not texts:
            return Standing.WITHDRAWN
        return Standing.SIGNED if of_texts <= _SIGNED_TEXT and availability in _AVAILABLE else Standing.UNCLEAR
    return Standing.OPEN if status in _STILL_OPEN[kind] else Standing.UNCLEAR
