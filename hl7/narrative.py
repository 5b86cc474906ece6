"""Text that somebody has dictated: ORU^R01, MDM^T02 and T08 of dictation systems (HL7 2.5.1 chapters 7.3 and 9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from hl7.errors import BadField
from hl7.message import Message
from hl7.oru import label_of, texts_of

NARRATIVE_MESSAGES = frozenset({("ORU", "R01"), ("MDM", "T02"), ("MDM", "T08")})

_STILL_OPEN = {
    "ORU": frozenset({"", "P", "R", "A", "I", "S"}),  # OBR-25, table 0123
    "MDM": frozenset({"", "DI", "DO", "IN", "IP"}),  # TXA-17, table 0271
}
_GONE = frozenset({"D", "N", "W", "X"})  # OBX-11, table 0085: such an observation is not, or no longer, there


@dataclass(frozen=True, slots=True)
class Passage:
    """Text under one observation identifier."""

    code: str  # OBX-3.1
    name: str  # OBX-3.2
    text: str  # lines ended by LF


@dataclass(frozen=True, slots=True)
class Narrative:
    """What was dictated for a study."""

    accession_number: str
    preliminary: bool  # nobody has signed it yet
    passages: tuple[Passage, ...]
    devices: frozenset[str]  # OIDs of the equipment that observed (OBX-18.3)


def read_narrative(message: Message) -> Narrative:
    """The text of a message, OBX segments with one identifier that follow each other taken together.

    Raises:
        BadField: another message, more than one report, no accession number, or no text.
    """
    kind = message.get("MSH", 9)
    if (kind, message.get("MSH", 9, 2)) not in NARRATIVE_MESSAGES:
        raise BadField("MSH", 9, "200", "is none of ORU^R01, MDM^T02 and MDM^T08, so this is no dictated text")
    if (found := len(message.all("OBR"))) > 1:
        raise BadField(
            "OBR", 1, "100", f"stands {found} times, wanted is once: each report must be a message of its own"
        )
    places = (("OBR", 18), ("TXA", 15), ("OBR", 3))
    accession = next((number for segment, field in places if (number := message.get(segment, field))), "")
    if not accession:
        raise BadField("OBR", 18, "101", "is empty, wanted is the accession number (or TXA-15, or OBR-3)")
    texts = [obx for obx in texts_of(message) if message.get(obx, 11) not in _GONE]
    passages = [
        Passage(
            label[0], label[2], "\n".join(line for obx in group for line in message.repetitions(obx, 5)).strip("\n ")
        )
        for label, group in groupby(texts, lambda obx: label_of(message, obx))
    ]
    if not any(passage.text for passage in passages):
        raise BadField("OBX", 5, "101", "holds no text in any segment whose OBX-2 is TX or FT")
    return Narrative(
        accession_number=accession,
        preliminary=message.get(*(("OBR", 25) if kind == "ORU" else ("TXA", 17))) in _STILL_OPEN[kind],
        passages=tuple(passage for passage in passages if passage.text),
        devices=frozenset(filter(None, (message.get(obx, 18, 3) for obx in texts))),
    )
