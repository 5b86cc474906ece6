"""A message as what it says to the house. Pure: no rows, no files, no sockets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dicom_io.study import Patient
from hl7 import patient as hl7_patient
from hl7.adt import PatientChange, read_changes
from hl7.errors import BadField
from hl7.message import Message
from hl7.narrative import (
    NARRATIVE_MESSAGES,
    Narrative,
    Standing,
    patient_of,
    read_narrative,
    stated_at,
    study_of,
)
from hl7.orders import ORDER_MESSAGES, is_cancelled, read_order
from radplug.anchors import check
from radplug.domain import Dictation
from radplug.notices import Cancelled, Dictated, Identities, Identity, Nothing, Notice, Ordered, Signed
from radplug.passages import parts
from radplug.priors import SignedReport

NO_DRAFT = "the text is signed, or withdrawn: no draft is wanted around it"
LONGEST_ACCESSION = 16  # characters; VR SH
_VERSION = re.compile(r"2\.[3-8](\.\d)?")
_FIRST_YEAR = 1900  # what is dated before is a mistake
_UID = re.compile(r"[0-9.]{1,64}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")  # but for the end of a line


@dataclass(frozen=True, slots=True)
class Reader:
    """How messages are read at one site."""

    sections: Mapping[str, str]  # name of the section by OBX-3.1, OBX-3.2 or heading, in lower case
    own_device: str  # OID under which our own results name the device that observed

    def read(self, message: Message, at: datetime) -> Notice:
        """What the message says.

        Raises:
            BadField: its version, type or event is not one for us, or a field is missing or cannot be used.
        """
        if not _VERSION.fullmatch(message.get("MSH", 12)):
            raise BadField("MSH", 12, "203", "is none of the versions 2.3 to 2.8")
        kind = (message.get("MSH", 9, 1), message.get("MSH", 9, 2))
        if kind in ORDER_MESSAGES:
            return order_in(message)
        if kind in NARRATIVE_MESSAGES:
            return self._narrated(message, at)
        if kind[0] == "ADT":
            return Identities(tuple(_identity(change) for change in read_changes(message)))
        raise BadField("MSH", 9, "200", "is none of ORM^O01, OMI^O23, ADT, ORU^R01, MDM^T02 and MDM^T08")

    def _narrated(self, message: Message, at: datetime) -> Notice:
        narrative = read_narrative(message)
        if self.own_device in narrative.devices:
            return Nothing("a draft of our own has come back")
        match narrative.standing:
            case Standing.OPEN:
                return self._dictated(message, narrative, at)
            case Standing.UNCLEAR:
                return Nothing("the text is neither preliminary nor, as a whole, signed")
            case Standing.SIGNED | Standing.WITHDRAWN:
                return self._signed(message, narrative, at)

    def _dictated(self, message: Message, narrative: Narrative, at: datetime) -> Dictated:
        accession = _accession(narrative.accession_number, "OBR", 18)
        source = f"HL7 {message.get('MSH', 3)}".strip()
        phrases = [
            Dictation(section, text, source, at, accession)
            for passage in narrative.passages
            for section, text in parts((passage.code, passage.name), passage.text, self.sections)
        ]
        if reason := next((reason for phrase in phrases if (reason := check(phrase.text))), ""):
            raise BadField("OBX", 5, "102", reason)
        if not phrases:
            raise BadField("OBX", 5, "101", "holds headings alone, wanted is what was dictated under them")
        return Dictated(tuple(phrases))

    def _signed(self, message: Message, narrative: Narrative, at: datetime) -> Signed | Nothing:
        """A report that somebody has signed, or taken back; one that could never be found again is nothing."""
        patient, study, number = patient_of(message), study_of(message), narrative.accession_number
        accession = number if is_accession(number) else ""
        uid = study if _UID.fullmatch(study) else ""
        if patient is None and narrative.standing is Standing.WITHDRAWN:
            patient = hl7_patient.Patient("")  # what is taken back is taken back from whomever it was of
        if patient is None or not (accession or uid):
            return Nothing(f"{NO_DRAFT}; nor can it be kept, since it does not tell whose, or of which study, it is")
        sections = [
            (section or passage.name, text)
            for passage in narrative.passages
            for section, text in parts((passage.code, passage.name), passage.text, self.sections)
        ] or [(passage.name, passage.text) for passage in narrative.passages]
        return Signed(
            SignedReport(
                Patient(patient.id, patient.authority or patient.authority_oid, birth_date=patient.birth_date),
                accession,
                uid,
                f"{message.get('MSH', 3)}|{message.get('MSH', 4)}",
                _by(at, stated_at(message)),
                tuple((_plain(heading), _plain(text)) for heading, text in sections),
            )
        )


def order_in(message: Message) -> Ordered | Cancelled:
    """The order that a message brings or takes back. Raises BadField."""
    order = read_order(message)
    _accession(order.accession_number, "OBR", 18)
    return Cancelled(order.accession_number) if is_cancelled(message) else Ordered(order)


def _accession(number: str, segment: str, field: int) -> str:
    if not number:
        raise BadField(segment, field, "101", "is empty, wanted is the accession number (OMI^O23: IPC-1)")
    if not is_accession(number):
        raise BadField(segment, field, "102", f"is no accession number: DICOM allows {LONGEST_ACCESSION} characters")
    return number


def is_accession(number: str) -> bool:
    """Whether it may be an accession number in DICOM (VR SH)."""
    return 0 < len(number) <= LONGEST_ACCESSION and "\\" not in number


def _by(at: datetime, told: datetime | None) -> datetime:
    """When something was said that is here now: what is dated ahead could never be followed by anything."""
    if told is None or not _FIRST_YEAR <= told.year <= at.year:
        return at
    return min(told.astimezone(), at)  # in this machine's time zone where it names none


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _identity(change: PatientChange) -> Identity:
    now, before = change.patient, change.formerly
    return Identity(
        Patient(now.id, now.authority or now.authority_oid, now.name, now.birth_date, now.sex),
        _issuers(now),
        before.id if before else "",
        _issuers(before) if before else frozenset(),
    )


def _issuers(patient: hl7_patient.Patient) -> frozenset[str]:
    return frozenset(filter(None, (patient.authority, patient.authority_oid)))
