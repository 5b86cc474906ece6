"""The patient of a message, and their PID segment (HL7 2.5.1 chapter 3.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from hl7.message import Segment, Value, segment
from hl7.timestamps import known_digits


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient in DICOM's spelling; empty is "not given"."""

    id: str
    name: str = ""  # PN: family^given^middle^prefix^suffix, up to three component groups between =
    birth_date: str = ""  # DA
    sex: str = ""  # M, F or O, the same letters in table 0001
    authority: str = ""  # who issued the id: namespace
    authority_oid: str = ""  # the same as an OID, where it has one


def patient_segment(patient: Patient) -> Segment:
    """PID with the identifier list, the name in each of its alphabets, birth date and sex."""
    authority = (patient.authority, patient.authority_oid, "ISO" if patient.authority_oid else "")
    return segment(
        "PID",
        {
            1: "1",
            3: (patient.id, "", "", authority, "MR") if patient.id else "",
            5: _person_name(patient.name),
            7: known_digits(patient.birth_date),
            8: patient.sex,
        },
    )


def _person_name(name: str) -> list[Value]:
    """PN as XPN: prefix and suffix change places, and each component group becomes a repetition.

    Alphabetic, ideographic and phonetic groups are told apart by XPN-8 (table 0465). PID-5 must not be empty: a name
    that is not known has the name type U, unspecified (table 0200).
    """
    groups = [
        (form, group.split("^", 4)) for form, group in zip("AIP", name.split("="), strict=False) if group.strip("^ ")
    ]
    names: list[Value] = []
    for form, components in groups:
        family, given, middle, prefix, suffix = (part.strip() for part in components + [""] * (5 - len(components)))
        names.append((family, given, middle, suffix, prefix, "", "", form if len(groups) > 1 or form != "A" else ""))
    return names or [("", "", "", "", "", "", "U")]
