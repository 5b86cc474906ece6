"""What happens to a patient's identity: ADT messages (HL7 2.5.1 chapter 3.3; IHE RAD-12)."""

from __future__ import annotations

from dataclasses import dataclass

from hl7.errors import BadField
from hl7.message import Message, Segment
from hl7.patient import Patient, read_identifier, read_patient

UPDATES = frozenset({"A08", "A31"})
MERGES = frozenset({"A40", "A47"})  # two become one; one is called otherwise


@dataclass(frozen=True, slots=True)
class PatientChange:
    """What is true of a patient from now on, and the identifier that they had until now, where it was another."""

    patient: Patient
    formerly: Patient | None = None  # the identifier alone


def read_changes(message: Message) -> tuple[PatientChange, ...]:
    """The changes that an ADT^A08, A31, A40 or A47 tells of.

    Raises:
        BadField: another event, or an identifier is missing.
    """
    event = message.get("MSH", 9, 2)
    if event not in UPDATES | MERGES:
        known = ", ".join(sorted(UPDATES | MERGES))
        raise BadField("MSH", 9, "201", f"tells of an event that nothing is done about here; those are {known}")
    people = message.all("PID")
    if not people:
        raise BadField("PID", 3, "101", "is missing, wanted is the patient's identifier")
    if event in UPDATES:
        return tuple(PatientChange(read_patient(message, pid)) for pid in people)
    return tuple(
        PatientChange(read_patient(message, pid), read_identifier(message, mrg, 1)) for pid, mrg in _pairs(message)
    )


def _pairs(message: Message) -> list[tuple[Segment, Segment]]:
    """Each PID with the MRG that follows it, before the next PID."""
    pairs: list[tuple[Segment, Segment]] = []
    pid: Segment = ()
    for segment in message.segments:
        if segment[0] == "PID":
            pid = segment
        elif segment[0] == "MRG" and pid:
            pairs.append((pid, segment))
            pid = ()
    if len(pairs) != len(message.all("PID")):
        raise BadField("MRG", 1, "101", "is missing, wanted is the identifier that is no longer used")
    return pairs
