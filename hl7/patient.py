"""The patient of a message, and their PID segment (HL7 2.5.1 chapter 3.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from hl7.errors import BadField
from hl7.message import Message, Segment, Value, segment
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


@dataclass(frozen=True, slots=True)
class Identifier:
    """An id with who issued it, as a namespace, an OID or both; empty is "not given"."""

    id: str
    authority: str = ""
    authority_oid: str = ""


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


def read_patient(message: Message, pid: Segment) -> Patient:
    """The patient of a PID segment, as far as it tells of them.

    Raises:
        BadField: it has no identifier.
    """
    named = read_identifier(message, pid, 3)
    birth_date, sex = known_digits(message.get(pid, 7)), message.get(pid, 8)
    return Patient(
        named.id,
        _read_name(message, pid),
        birth_date[:8],
        sex if sex in ("M", "F", "O") else "",
        named.authority,
        named.authority_oid,
    )


def read_identifier(message: Message, segment: Segment, number: int) -> Patient:
    """Whom an identifier list (PID-3, MRG-1) means: its medical record number, or else the first that it gives.

    Raises:
        BadField: it is empty.
    """
    repetitions = range(1, len(message.repetitions(segment, number)) + 1)
    given = [each for each in repetitions if message.get(segment, number, 1, each)]
    if not given:
        raise BadField(segment[0], number, "101", "is empty, wanted is the patient's identifier")
    chosen = next((each for each in given if message.get(segment, number, 5, each) in ("MR", "PI")), given[0])
    authority, oid = (message.get(segment, number, 4, chosen, part) for part in (1, 2))
    return Patient(message.get(segment, number, 1, chosen), authority=authority, authority_oid=oid)


def read_identifiers(message: Message, segment: Segment, number: int) -> tuple[Identifier, ...]:
    """Each id of an identifier list that is the patient's own, or else the first that it gives; none where it is empty.

    Account, visit and national numbers (table 0203) stand in the same list, and are no patient's id to a PACS.
    """
    given = [
        (
            message.get(segment, number, 5, each),
            Identifier(*(message.get(segment, number, *place) for place in ((1, each), (4, each, 1), (4, each, 2)))),
        )
        for each in range(1, len(message.repetitions(segment, number)) + 1)
        if message.get(segment, number, 1, each)
    ]
    own = tuple(identifier for kind, identifier in given if kind in ("", "MR", "PI", "PT"))
    return own or tuple(identifier for _, identifier in given[:1])


def _read_name(message: Message, pid: Segment) -> str:
    """XPN as PN; see `_person_name`."""
    groups: dict[str, str] = {}
    for repetition in range(1, len(message.repetitions(pid, 5)) + 1):
        family, given, middle, suffix, prefix = (message.get(pid, 5, part, repetition) for part in range(1, 6))
        name = "^".join((family, given, middle, prefix, suffix)).rstrip("^")
        if name:
            groups.setdefault(message.get(pid, 5, 8, repetition) or "A", name)
    return "=".join(groups.get(form, "") for form in "AIP").rstrip("=")


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
