"""What messages from other systems say to the house, each as one notice; what comes of it lies in `records.notices`."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_io.study import Patient
from hl7.orders import Order
from radplug.domain import Dictation
from radplug.priors import SignedReport


@dataclass(frozen=True, slots=True)
class Ordered:
    """A study is ordered, or its order has changed."""

    order: Order


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The order is taken back."""

    accession_number: str


@dataclass(frozen=True, slots=True)
class Dictated:
    """All that one system has dictated for a study so far; it takes the place of what the same system said before."""

    phrases: tuple[Dictation, ...]  # of one accession number, study and source


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nothing of what one system has dictated for a study stands any more."""

    accession_number: str
    study_uid: str
    source: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A report is signed, was corrected, or is withdrawn; it takes the place of what its sender said before of it."""

    report: SignedReport


@dataclass(frozen=True, slots=True)
class Identity:
    """What is true of a patient from now on; what `patient` leaves empty stays as it is."""

    patient: Patient
    issuers: frozenset[str]  # each way in which the issuer of the id may be written; empty: not told
    former_id: str = ""  # the id that they had until now, where it was another
    former_issuers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Identities:
    """Patients' data have changed, or their ids were merged or changed."""

    changes: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Nothing:
    """A message that is rightly left alone, and why."""

    reason: str


Notice = Ordered | Cancelled | Dictated | Withdrawn | Signed | Identities | Nothing


@dataclass(frozen=True, slots=True)
class Key:
    """What a message is known by when it comes again."""

    application: str  # MSH-3
    facility: str  # MSH-4
    control_id: str  # MSH-10


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that was taken, and how it was answered."""

    sha256: str
    answers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Touched:
    """A case whose patient has changed, and what that means for a report that has been sent."""

    case_id: str
    report: str
