"""A draft report in DICOM's words: coded sections of text with the images that show it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dicom_io.study import Instance
from dicom_io.text_values import identifier, shortened


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 section 8): LOINC is scheme LN, DICOM's own terms are scheme DCM.

    Raises:
        ValueError: one of the three is missing, or value or scheme cannot be written as it stands.
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        if not (identifier(self.value, 64) and identifier(self.scheme, 16) and shortened(self.meaning, 64)):
            raise ValueError(
                "a code needs a value, a scheme of at most 16 characters and a meaning, without backslashes"
            )


# titles, CID 7000
DIAGNOSTIC_IMAGING_REPORT: Final = Code("18748-4", "LN", "Diagnostic Imaging Report")
# section headings, CID 7001
SUMMARY: Final = Code("55112-7", "LN", "Summary")
PRIOR_PROCEDURES: Final = Code("55114-3", "LN", "Prior Procedure Descriptions")
INDICATIONS: Final = Code("18785-6", "LN", "Indications for Procedure")
FINDINGS: Final = Code("59776-5", "LN", "Findings")
IMPRESSIONS: Final = Code("19005-8", "LN", "Impressions")
# what a paragraph is, CID 7002 (which has SUMMARY as well)
REQUEST: Final = Code("55115-0", "LN", "Request")
FINDING: Final = Code("121071", "DCM", "Finding")
IMPRESSION: Final = Code("121073", "DCM", "Impression")
PROCEDURE_DESCRIPTION: Final = Code("121065", "DCM", "Procedure Description")
# why an image is referred to, CID 7003
BEST_ILLUSTRATION: Final = Code("121080", "DCM", "Best illustration of finding")
BASELINE: Final = Code("121079", "DCM", "Baseline")
# languages, CID 5000
ENGLISH: Final = Code("en-US", "RFC5646", "English (United States)")

BANNER: Final = "AI-GENERATED DRAFT - NOT REVIEWED BY A RADIOLOGIST - NOT FOR CLINICAL USE"
ACCEPTED_BANNER: Final = "AI-GENERATED DRAFT - ACCEPTED AS A DRAFT - NOT VERIFIED, NOT SIGNED - NOT FOR CLINICAL USE"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image of the study, or one frame of it (counted from 1), that a paragraph rests on."""

    sop_instance_uid: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text that comes back byte for byte; text_values.ut_text says what it may hold."""

    text: str
    images: tuple[ImageReference, ...] = ()
    purpose: Code = BEST_ILLUSTRATION  # of the images


@dataclass(frozen=True, slots=True)
class ReportSection:
    heading: Code  # CID 7001
    element: Code  # CID 7002: what each paragraph is
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """Who observed and wrote: the installation of a program, never a person.

    Texts longer than their value representation are cut when written: 64 characters, description 1024.

    Raises:
        ValueError: a text other than serial and description is empty.
    """

    uid: str
    name: str
    manufacturer: str
    model: str
    version: str
    serial: str = ""
    description: str = ""  # what it did and with what: model fingerprint, sampler, render version

    def __post_init__(self) -> None:
        if not all((self.uid, self.name, self.manufacturer, self.model, self.version)):
            raise ValueError("a device needs a UID, name, manufacturer, model and version")


@dataclass(frozen=True, slots=True)
class RequestedProcedure:
    """What was ordered, as far as it is known; identifiers too long for DICOM are left out, descriptions cut."""

    accession_number: str = ""  # at most 16 characters
    placer_order_number: str = ""  # 64
    filler_order_number: str = ""  # 64
    requested_procedure_id: str = ""  # 16
    description: str = ""  # 64
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The draft that a revision takes the place of: one of ours, in the same study."""

    sop_instance_uid: str
    series_uid: str


@dataclass(frozen=True, slots=True)
class DocumentIds:
    """Minted and stored by the caller before the first sending, so that a resend is the same document.

    A revision stays in its predecessor's series, with the next instance number.
    """

    sop_instance_uid: str
    series_uid: str
    series_number: int
    instance_number: int = 1


@dataclass(frozen=True, slots=True)
class DraftReport:
    """All that the document says. That it is a draft is not said here: no report of ours can be anything else.

    `accepted_by` is whoever has read the draft and let it stand: an observer, who verifies and signs nothing.
    """

    sections: tuple[ReportSection, ...]
    device: Device
    banner: str = BANNER  # the first section, before all others
    accepted_by: str = ""
    title: Code = DIAGNOSTIC_IMAGING_REPORT
    language: Code = ENGLISH
    procedure: Code | None = None  # procedure reported
    requested: tuple[RequestedProcedure, ...] = ()
    priors: tuple[Instance, ...] = ()  # images of earlier studies, which paragraphs may refer to as well
