"""The wrong-patient guard: whether all that is known of a case, and the document to be sent, are of one patient.

Pure rules. A `Claim` is what one source says of whose study it is: an image, the order, an earlier study, the
document's own bytes. Each is compared with the case as it is now. What a source does not tell contradicts
nothing; what it tells must be equal. No word of what comes out holds patient data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dicom_io.study import Patient
from hl7.orders import Order
from radplug.priors import Prior

_OID: Final = re.compile(r"[0-2](\.\d+)+")


class Source(StrEnum):
    CASE = "the case"
    IMAGE = "an image"
    ORDER = "the order"
    ORDER_OF_DRAFT = "the order that the draft was made with"
    PRIOR = "an earlier study that the draft was compared with"
    REPORT = "the report that is open"  # in a FHIRcast session
    DOCUMENT = "the document"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A patient's id; `issuers` are the ways in which its issuer is written, none: not told."""

    id: str
    issuers: frozenset[str] = frozenset()

    def may_be(self, other: Identifier) -> bool:
        """Whether both may be one patient's: the issuer counts where both sides name one, in one way of writing."""
        return self.id == other.id and not self.issued_otherwise(other)

    def issued_otherwise(self, other: Identifier) -> bool:
        """A name and an OID (HL7 2.5.1 chapter 2.A.14) cannot be told apart, so they contradict nothing."""
        if self.issuers & other.issuers:
            return False
        kinds = {bool(_OID.fullmatch(issuer)) for issuer in self.issuers}
        return any(bool(_OID.fullmatch(issuer)) in kinds for issuer in other.issuers)


def identifiers(id: str, *issuers: str) -> tuple[Identifier, ...]:
    """The id, if it is one; spaces around it do not count (PS3.5 6.2, LO)."""
    named = frozenset(issuer.strip() for issuer in issuers if issuer.strip())
    return (Identifier(id.strip(), named),) if id.strip() else ()


@dataclass(frozen=True, slots=True)
class Claim:
    """What one source says of whose study it is; empty is "not told"."""

    source: Source
    patient: tuple[Identifier, ...] = ()  # ids of the one patient; any of them will do
    accession_number: str = ""
    study_uid: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a case: as it is now, under every id that was merged into its patient's, and what else tells."""

    case: Claim
    others: tuple[Claim, ...] = ()


def of_order(order: Order, source: Source = Source.ORDER) -> Claim:
    told = (identifiers(each.id, each.authority, each.authority_oid) for each in order.patient)
    return Claim(source, tuple(one for each in told for one in each), order.accession_number, order.study_uid)


def of_priors(priors: Sequence[Prior]) -> list[Claim]:
    """One for each patient of their images; their study is another, so only the patient is compared."""
    patients = dict.fromkeys(image.patient for prior in priors for image in prior.images)
    return [Claim(Source.PRIOR, of_patient(patient)) for patient in patients]


def of_patient(patient: Patient) -> tuple[Identifier, ...]:
    return identifiers(patient.id, patient.issuer)


def contradictions(known: Known, document: Sequence[Claim] = ()) -> tuple[str, ...]:
    """In words, what does not agree; nothing where all of it may be of one patient and one study.

    `document` are the claims of what is about to be sent: all of them must agree, and one must name the study.
    """
    found = [
        f"{claim.source} names another {' and another '.join(differing)} than the case"
        for claim in (*known.others, *document)
        if (differing := list(_differing(known.case, claim)))
    ]
    patients = {claim.patient for claim in known.others if claim.source is Source.IMAGE and claim.patient}
    strangers = [one for one in patients if not _one_patient(known.case.patient, one)]
    if strangers and len(strangers) < len(patients):
        found.append("the study has images of more than one patient")
    if document and not any(claim.study_uid for claim in document):
        found.append("the document names no Study Instance UID")
    return tuple(dict.fromkeys(found))


def stopped(wrong: Sequence[str]) -> str:
    """What is told of a delivery that the guard has stopped."""
    return f"stopped: wrong patient guard: {'; '.join(wrong)}"


def _differing(case: Claim, claim: Claim) -> Iterator[str]:
    """The fields in which a claim is not the case's."""
    confirmed = bool(case.patient and claim.patient)
    if claim.source is Source.DOCUMENT and claim.patient and not case.patient:
        yield "Patient ID"  # nobody has told it to the document
    elif confirmed and not _one_patient(case.patient, claim.patient):
        same_id = {one.id for one in case.patient} & {one.id for one in claim.patient}
        yield "issuer of the Patient ID" if same_id else "Patient ID"
    if case.accession_number and claim.accession_number and case.accession_number != claim.accession_number:
        yield "accession number"
    # A modality that was given no UID makes its own, so an order of this patient and number may have had another.
    ordered_otherwise = confirmed and claim.source in (Source.ORDER, Source.ORDER_OF_DRAFT)
    if claim.study_uid and claim.study_uid != case.study_uid and not ordered_otherwise:
        yield "Study Instance UID"


def _one_patient(ours: Sequence[Identifier], theirs: Sequence[Identifier]) -> bool:
    return any(mine.may_be(other) for mine in ours for other in theirs)
