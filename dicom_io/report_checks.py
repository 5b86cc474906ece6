"""Whether a document is a draft report that may leave the house: run on each one before it is sent.

Validators look at the attributes of a structured report but not at its template, so that TID 2000 and TID 1500 are
checked here, each in the SOP class that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID, BasicTextSRStorage, Comprehensive3DSRStorage

from dicom_io import measurement_template, report_template
from dicom_io.clinical_header import PATIENT_AND_STUDY
from dicom_io.content_items import code, descendants, items, name, references, references_by_series, text
from dicom_io.draft_object import SERIES_DESCRIPTION
from dicom_io.report import BASELINE, SUMMARY
from dicom_io.report_reading import parse
from dicom_io.structured_report import COMPLETION_FLAG, PRELIMINARY_FLAG, VERIFICATION_FLAG
from dicom_io.text_values import stray_character


class Rule(StrEnum):
    """What a draft report's document must keep."""

    DRAFT = "it says that it is a draft, and that nobody has verified it"
    ATTRIBUTES = "required attributes are there"
    OBSERVER = "a device wrote it, whoever has read it since"
    TEMPLATE = "it is a Basic Text SR whose tree is one of TID 2000, or a Comprehensive 3D SR with one of TID 1500"
    BANNER = "what it is stands first in it, in words"
    TEXT = "its texts are in UTF-8, without control characters but line ends"
    EVIDENCE = "the images that it refers to are listed as evidence: of its study, and as baseline of earlier ones"
    RELATIONS = "the requests that it answers and the draft that it replaces are of its study"


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a document breaks, and how, in words without patient data."""

    rule: Rule
    text: str


# Type 1 (PS3.3 C.12.1, C.17.1 to C.17.3), and what each document of ours says of itself besides
_VALUED: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "InstanceNumber",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "CompletionFlag",
    "CompletionFlagDescription",
    "VerificationFlag",
    "PreliminaryFlag",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceUID",
    "ContributingEquipmentSequence",
    "AuthorObserverSequence",
    "CurrentRequestedProcedureEvidenceSequence",
    "ValueType",
    "ConceptNameCodeSequence",
    "ContinuityOfContent",
    "ContentTemplateSequence",
    "ContentSequence",
)
# Type 2 (PS3.3 C.7.1.1, C.7.2.1, C.17.1, C.17.2)
_PRESENT: Final = (
    *PATIENT_AND_STUDY,
    "ReferencedPerformedProcedureStepSequence",
    "PerformedProcedureCodeSequence",
)
_PRESENT_IN_REQUEST: Final = (
    "ReferencedStudySequence",
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)
_DRAFT: Final = MappingProxyType(
    {
        "CompletionFlag": COMPLETION_FLAG,
        "VerificationFlag": VERIFICATION_FLAG,
        "PreliminaryFlag": PRELIMINARY_FLAG,
        "SeriesDescription": SERIES_DESCRIPTION,
    }
)
_DEPARTURES: Final[Mapping[str, Callable[[Dataset], Iterator[str]]]] = MappingProxyType(
    {BasicTextSRStorage: report_template.departures, Comprehensive3DSRStorage: measurement_template.departures}
)

_OBSERVER_TYPE, _DEVICE, _DEVICE_UID = "121005", "121007", "121012"
_PERSON, _PERSON_NAME = "121006", "121008"  # TID 1003: who has accepted the draft
_DEVICE_CONTEXT: Final = {_OBSERVER_TYPE, _DEVICE_UID, "121013", "121014", "121015", "121016", "121017"}  # TID 1004


def check(document: bytes | Dataset) -> tuple[Fault, ...]:
    """Each way in which the document is not a draft report as ours are; none when it may be sent.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    dataset = parse(document)
    checks = (_draft, _attributes, _observer, _template, _banner, _text, _evidence, _relations)
    return tuple(chain.from_iterable(each(dataset) for each in checks))


def _draft(document: Dataset) -> Iterator[Fault]:
    for keyword, wanted in _DRAFT.items():
        if text(document, keyword) != wanted:
            yield Fault(Rule.DRAFT, f"{keyword} is not {wanted}")
    for keyword in ("VerifyingObserverSequence", "ParticipantSequence"):
        if keyword in document:
            yield Fault(Rule.DRAFT, f"{keyword} is present; nobody can have verified or attested a draft")


def _attributes(document: Dataset) -> Iterator[Fault]:
    for keyword in _VALUED:
        if keyword not in document or document[keyword].is_empty:
            yield Fault(Rule.ATTRIBUTES, f"{keyword} is absent or empty")
    for keyword in _PRESENT:
        if keyword not in document:
            yield Fault(Rule.ATTRIBUTES, f"{keyword} is absent")
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "DeviceUID"):
        if not UID(text(document, keyword)).is_valid:
            yield Fault(Rule.ATTRIBUTES, f"{keyword} is not a UID")
    for item in (document, *descendants(document)):
        if not name(item) and text(item, "ValueType") != "IMAGE":
            yield Fault(Rule.ATTRIBUTES, "the concept name of a content item lacks its code, scheme or meaning")
        if text(item, "ValueType") == "CODE" and not code(item, "ConceptCodeSequence"):
            yield Fault(Rule.ATTRIBUTES, "the value of a content item lacks its code, scheme or meaning")


def _observer(document: Dataset) -> Iterator[Fault]:
    for author in items(document, "AuthorObserverSequence"):
        if text(author, "ObserverType") != "DEV":
            yield Fault(Rule.OBSERVER, "an author is not a device")
    context = [i for i in items(document) if text(i, "RelationshipType") == "HAS OBS CONTEXT"]
    if any(name(item) not in {*_DEVICE_CONTEXT, _PERSON_NAME} for item in context):
        yield Fault(Rule.OBSERVER, "the observation context holds an item that is of neither TID 1003 nor TID 1004")
    types = [code(item, "ConceptCodeSequence") for item in context if name(item) == _OBSERVER_TYPE]
    if types not in ([_DEVICE], [_DEVICE, _PERSON]):
        yield Fault(Rule.OBSERVER, "the observation context does not name one device first, and one person at most")
    people = [text(item, "PersonName") for item in context if name(item) == _PERSON_NAME]
    if len(people) != types.count(_PERSON) or not all(people):
        yield Fault(Rule.OBSERVER, "the person in the observation context has no name")
    uids = [text(item, "UID") for item in context if name(item) == _DEVICE_UID]
    if uids != [text(document, "DeviceUID")]:
        yield Fault(Rule.OBSERVER, "the observer is not the device that the header names")


def _template(document: Dataset) -> Iterator[Fault]:
    departures = _DEPARTURES.get(text(document, "SOPClassUID"))
    if departures is None or text(document, "Modality") != "SR":
        yield Fault(Rule.TEMPLATE, "it is neither a Basic Text SR nor a Comprehensive 3D SR")
    for departure in departures(document) if departures else ():
        yield Fault(Rule.TEMPLATE, departure)


def _banner(document: Dataset) -> Iterator[Fault]:
    first = next((item for item in items(document) if text(item, "RelationshipType") == "CONTAINS"), Dataset())
    if name(first) != SUMMARY.value:
        yield Fault(Rule.BANNER, "what stands first is not the banner")
    elif not any(text(item, "TextValue").strip() for item in (first, *items(first))):
        yield Fault(Rule.BANNER, "the banner says nothing")


def _text(document: Dataset) -> Iterator[Fault]:
    if text(document, "SpecificCharacterSet") != "ISO_IR 192":
        yield Fault(Rule.TEXT, "SpecificCharacterSet is not ISO_IR 192, in which all texts are kept")
    for value in (text(item, "TextValue") for item in descendants(document) if text(item, "ValueType") == "TEXT"):
        if not value.strip():
            yield Fault(Rule.TEXT, "the text of a content item is blank")
        if stray := stray_character(value):
            yield Fault(Rule.TEXT, stray)
        if {"\r", "\n"}.intersection(value.replace("\r\n", "")):
            yield Fault(Rule.TEXT, "a line does not end in CR LF")


def _evidence(document: Dataset) -> Iterator[Fault]:
    evidence: set[tuple[str, str]] = set()
    for study in items(document, "CurrentRequestedProcedureEvidenceSequence"):
        evidence.update(references_by_series(study))
        if text(study, "StudyInstanceUID") != text(document, "StudyInstanceUID"):
            yield Fault(Rule.EVIDENCE, "images of another study are evidence of the current procedure")
    earlier: set[tuple[str, str]] = set()
    for study in items(document, "PertinentOtherEvidenceSequence"):
        earlier.update(references_by_series(study))
        if text(study, "StudyInstanceUID") == text(document, "StudyInstanceUID"):
            yield Fault(Rule.EVIDENCE, "images of the study itself are evidence of earlier procedures")
    for item in descendants(document):
        if text(item, "ValueType") != "IMAGE":
            continue
        if len(references(item)) != 1:
            yield Fault(Rule.EVIDENCE, "an image item does not refer to one image")
        if name(item) == BASELINE.value:
            if not earlier.issuperset(references(item)):
                yield Fault(
                    Rule.EVIDENCE, "an image that the report names as baseline is no evidence of an earlier study"
                )
        elif not evidence.issuperset(references(item)):
            yield Fault(Rule.EVIDENCE, "an image that the report refers to is not evidence of the current procedure")


def _relations(document: Dataset) -> Iterator[Fault]:
    for request in items(document, "ReferencedRequestSequence"):
        if text(request, "StudyInstanceUID") != text(document, "StudyInstanceUID"):
            yield Fault(Rule.RELATIONS, "it answers a request for another study")
        for keyword in _PRESENT_IN_REQUEST:
            if keyword not in request:
                yield Fault(Rule.RELATIONS, f"a request lacks {keyword}")
    for study in items(document, "PredecessorDocumentsSequence"):
        if text(study, "StudyInstanceUID") != text(document, "StudyInstanceUID"):
            yield Fault(Rule.RELATIONS, "it replaces a document of another study")
        predecessors = {instance for _, instance in references_by_series(study)}
        if not predecessors or text(document, "SOPInstanceUID") in predecessors:
            yield Fault(Rule.RELATIONS, "it replaces itself, or a document that it does not name")
