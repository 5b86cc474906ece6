"""The service's own words: a Case and its states, what was dictated for it, its Drafts, and their Deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from dicom_io.study import Instance, Patient
from hl7.orders import Order
from model_runtime.canvas import Code, Section, Template
from model_runtime.draft_text import DraftText
from radplug.completeness import Because
from radplug.priors import Prior, PriorRule


class CaseState(StrEnum):
    RECEIVING = "receiving"  # instances still arrive, or a late one has reopened the case
    COMPLETE = "complete"  # the study is closed and waits for its draft
    DRAFTED = "drafted"  # the draft stands; some destination does not have it yet
    DELIVERED = "delivered"  # every destination has the latest draft
    NOT_DRAFTED = "not drafted"  # rightly left to the radiologist alone; `reason` says why
    FAILED = "failed"  # drafting went wrong too often; `reason` says how


NEXT: Mapping[CaseState, frozenset[CaseState]] = {
    CaseState.RECEIVING: frozenset({CaseState.COMPLETE, CaseState.NOT_DRAFTED, CaseState.FAILED}),
    CaseState.COMPLETE: frozenset({CaseState.RECEIVING, CaseState.DRAFTED, CaseState.NOT_DRAFTED, CaseState.FAILED}),
    CaseState.DRAFTED: frozenset(
        # and drafted once more: an accepted draft takes the place of one that is still on its way
        {CaseState.RECEIVING, CaseState.COMPLETE, CaseState.DRAFTED, CaseState.DELIVERED}
    ),
    CaseState.DELIVERED: frozenset({CaseState.RECEIVING, CaseState.COMPLETE, CaseState.DRAFTED}),
    CaseState.NOT_DRAFTED: frozenset({CaseState.RECEIVING, CaseState.COMPLETE}),
    CaseState.FAILED: frozenset({CaseState.RECEIVING, CaseState.COMPLETE}),
}
SETTLED = frozenset({CaseState.DELIVERED, CaseState.NOT_DRAFTED, CaseState.FAILED})


class Priority(IntEnum):
    """How urgent the order is; the worklist shows the lowest number first."""

    STAT = 0
    URGENT = 1
    ROUTINE = 2

    @classmethod
    def of(cls, order: Order) -> Priority:
        """HL7 table 0485; whatever is neither stat nor in a hurry is routine."""
        return {"S": cls.STAT, "A": cls.URGENT, "P": cls.URGENT, "C": cls.URGENT, "T": cls.URGENT}.get(
            order.priority[:1].upper(), cls.ROUTINE
        )


@dataclass(frozen=True, slots=True)
class Routing:
    """What the site's rules say of a study; empty and None are "as without rules"."""

    rule: str = ""  # name of the one that took it
    not_drafted: str = ""  # the reason why it is not
    template: str = ""  # its name
    model: str = ""  # name of a further one
    adapter: str = ""  # its name, among those of the model
    destinations: tuple[str, ...] | None = None  # their names
    priority: Priority | None = None
    priors: PriorRule | None = None  # earlier studies that are wanted


NO_RULE = Routing()


class StaleWork(Exception):
    """Another worker holds the case now, or the case has moved on: what was made here is thrown away."""


class UnknownCase(Exception):
    """No case has that id."""


class SeveralCases(Exception):
    """More than one case has that accession number."""


class NotDraftable(Exception):
    """The study cannot or should not be drafted; the text is the reason that the worklist shows."""


class DeliveryRefused(Exception):
    """The document is not fit to be sent, or its destination said no for good."""


class WrongPatient(DeliveryRefused):
    """The document, or what it was made from, may be of somebody else; the text names fields and no patient's data."""


class DestinationUnavailable(Exception):
    """The destination may take the document later."""


class ArchiveFailed(Exception):
    """An archive did not name, or did not give us, earlier studies; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Case:
    """One study on its way to a report. One Study Instance UID is one case, for ever."""

    id: str
    study_uid: str
    state: CaseState
    version: int  # of the latest draft; 0 before the first
    reason: str
    patient: Patient
    accession_number: str
    study_date: str
    study_description: str
    modality: str
    body_part: str
    priority: Priority
    instances: int
    first_received_at: datetime
    last_received_at: datetime
    closed_at: datetime | None
    attempts: int  # drafting attempts since the study was last closed
    routing: Routing = NO_RULE  # as decided when the study was last closed
    complete_because: Because | None = None  # the same
    lacks: str = ""  # what the study waits for, or was closed without, in words


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to draft a case. `fence` grows with every lease, so a worker that lost its own is told so."""

    case_id: str
    owner: str
    fence: int
    attempt: int  # to draft the case, from 1 on


@dataclass(frozen=True, slots=True)
class Due:
    """A complete case that nobody is drafting."""

    case_id: str
    awaited: bool  # by a radiologist, who has dictated something for it


class Received(StrEnum):
    NEW = "new"
    DUPLICATE = "duplicate"  # the same bytes are already kept
    OURS = "ours"  # a document that radplug made, sent back: kept, never taken for input
    MENDED = "mended"  # the same bytes had been kept, and their file was damaged since
    PRIOR = "prior"  # of an earlier study that we have asked for: no case comes of it


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An instance's bytes, safe on disk."""

    id: str
    file: str  # relative to the data directory
    sha256: str  # of the data set, without file meta
    size: int  # bytes of the file
    damaged: bool = False  # it was found to be gone, or to hold other bytes


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a study stays open."""

    quiet: timedelta  # after its last image
    at_most: timedelta  # after its first image


@dataclass(frozen=True, slots=True)
class KeptInstance:
    """An instance of a case and its file, relative to the data directory."""

    instance: Instance
    file: str
    calling_ae: str = ""  # who sent it
    called_ae: str = ""  # and as whom we were called


@dataclass(frozen=True, slots=True)
class Dictation:
    """A phrase that the radiologist has said: an anchor of the draft. Found by accession number or study UID."""

    section: str
    text: str
    source: str
    said_at: datetime
    accession_number: str = ""
    study_uid: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is drafted as."""

    template: Template
    modality: str
    body_part: str
    view: str
    images: int  # that the model can be shown, at most
    priors: int  # whose reports it can be told, at most
    model: str  # name of a further one that drafts it; empty: the first
    adapter: str  # name of the LoRA adapter that drafts it; empty: none


@dataclass(frozen=True, slots=True)
class KeyImage:
    """An image that the model was shown, and how it was made from which frame of which instance."""

    file: str  # a PNG, relative to the data directory
    sop_class_uid: str
    sop_instance_uid: str
    frame: int  # 1-based
    provenance: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Brief:
    """What the draftsman is given of a case."""

    plan: Plan
    images: tuple[KeyImage, ...]
    said: Sequence[Dictation]
    priors: tuple[Prior, ...] = ()  # supplied


@dataclass(frozen=True, slots=True)
class Draft:
    """One version of a report: never verified, never final."""

    case_id: str
    version: int
    template: str
    title: Code  # of the report, as the template has it
    sections: tuple[Section, ...]  # of the template as it was; it may have been changed since
    text: DraftText
    doubtful: bool  # the model was less sure of some sentence than the site wants it to be
    images: tuple[KeyImage, ...]
    order: Order | None
    drafted_at: datetime
    seconds: Mapping[str, float]  # queue, render, infer; what a batch waits for its other cases is in the last
    accepted_by: str = ""  # who has read it and let it stand: a draft still
    priors: tuple[Prior, ...] = ()  # that the model was supplied with
    offered: bool = False  # from late images, after somebody had begun on the draft before: sent only once accepted
    revises: int = 0  # the version whose text it repeats, for a patient whose data have changed; 0: it has its own


@dataclass(frozen=True, slots=True)
class Outdated:
    """A case whose report was sent for a patient whose data have changed."""

    case_id: str
    told_at: datetime


class DocumentKind(StrEnum):
    SR = "sr"  # DICOM Basic Text SR
    SR_3D = "sr-3d"  # DICOM Comprehensive 3D SR
    PDF = "pdf"  # DICOM Encapsulated PDF
    CAPTURE = "capture"  # DICOM Secondary Capture, one for each page
    ORU = "oru"  # HL7 ORU^R01
    ORU_PDF = "oru-pdf"  # HL7 ORU^R01 that holds a PDF
    FHIR = "fhir"  # FHIR DiagnosticReport that holds the SR

    @property
    def is_hl7(self) -> bool:
        return self in (DocumentKind.ORU, DocumentKind.ORU_PDF)


@dataclass(frozen=True, slots=True)
class Document:
    """What leaves the house: minted once, kept, and sent again as the same bytes.

    `id` is the SOP Instance UID of a DICOM object, or of the SR within a DiagnosticReport, and the message control id
    (MSH-10) of an ORU.
    """

    kind: DocumentKind
    id: str
    series_uid: str  # of that object; empty for an ORU
    file: str  # relative to the data directory


class DeliveryState(StrEnum):
    WAITING = "waiting"  # for its first, or next, attempt
    DELIVERED = "delivered"
    DEAD = "dead"  # refused for good, tried too often, or not fit to be sent: `radplug resend`
    WITHDRAWN = "withdrawn"  # its draft was discarded before it could be sent


@dataclass(frozen=True, slots=True)
class Delivery:
    """One document on its way to one destination."""

    id: int
    case_id: str
    version: int
    destination: str
    document: Document
    state: DeliveryState
    attempts: int
    outcome: str  # of the last attempt, in words
    retry_at: datetime | None
    delivered_at: datetime | None


class CommitmentState(StrEnum):
    WANTED = "wanted"  # the document is delivered; its destination is to be asked whether it keeps it
    ASKED = "asked"  # and has yet to answer
    COMMITTED = "committed"
    FAILED = "failed"  # the destination does not vouch for the document
    LATE = "late"  # no answer came in time
    CLOSED = "closed"  # of a dead letter that somebody has resent since


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a destination is asked about one document that it was sent."""

    transaction_uid: str
    delivery: Delivery
    state: CommitmentState
    attempts: int  # to ask
    asked_before: int  # how many times this document was sent and asked for before


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to which case, and when. `detail` holds no patient data."""

    at: datetime
    event: str
    case_id: str
    actor: str
    detail: Mapping[str, object] = field(default_factory=dict)
