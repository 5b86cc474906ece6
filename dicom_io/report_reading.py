"""A structured report as it reads: its tree for showing, and our own documents as what they were built from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from dicom_io.elements import DAMAGE
from dicom_io.errors import Unreadable
from dicom_io.report import (
    SUMMARY,
    Code,
    Device,
    DocumentIds,
    DraftReport,
    ImageReference,
    Paragraph,
    Predecessor,
    ReportSection,
    RequestedProcedure,
)
from dicom_io.text_values import plain_text


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """A draft report's document: what build() was given, and the flags that it was marked with."""

    report: DraftReport
    study_uid: str
    ids: DocumentIds
    written_at: datetime
    predecessor: Predecessor | None
    evidence: tuple[str, ...]  # SOP Instance UIDs
    completion_flag: str
    verification_flag: str
    preliminary_flag: str


@dataclass(frozen=True, slots=True)
class ContentLine:
    """One content item as a person reads it; the root has depth 0 and no relationship."""

    depth: int
    relationship: str
    value_type: str
    name: str
    value: str


def parse(document: bytes | Dataset) -> Dataset:
    """The data set of a document, from its Part 10 bytes or as it is, whole and with every element decoded.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    try:
        dataset = document if isinstance(document, Dataset) else dcmread(BytesIO(document))
        is_cut_short = any(map(_is_cut_short, dataset.elements()))
        deque(dataset.iterall(), maxlen=0)  # pydicom decodes an element when it is first asked for
    except (BytesLengthException, InvalidDicomError, *DAMAGE) as error:
        raise Unreadable(f"the document does not decode as a DICOM file ({type(error).__name__})") from None
    if is_cut_short:
        raise Unreadable("the document is cut short: its last element is longer than what is there of it")
    return dataset


def _is_cut_short(element: DataElement | RawDataElement) -> bool:
    """Whether the bytes ended before the element did, which pydicom takes for all that there is."""
    if not isinstance(element, RawDataElement) or element.length == 0xFFFFFFFF:
        return False
    return len(element.value or b"") < element.length


def tree(document: bytes | Dataset) -> tuple[ContentLine, ...]:
    """The content tree of any structured report, depth first.

    Raises:
        Unreadable: it does not decode, or is cut short.
    """
    return tuple(_lines(parse(document), depth=0))


def read(document: bytes | Dataset) -> ReportDocument:
    """A document that build() made.

    Raises:
        Unreadable: it does not decode, is cut short, or lacks what each of ours has.
    """
    dataset = parse(document)
    try:
        return _document(dataset)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise Unreadable(
            "the document is no draft report of ours: its header or its tree lacks what ours have"
        ) from error


def _document(dataset: Dataset) -> ReportDocument:
    predecessors = dataset.get("PredecessorDocumentsSequence")
    return ReportDocument(
        report=_report(dataset),
        study_uid=str(dataset.StudyInstanceUID),
        ids=DocumentIds(
            str(dataset.SOPInstanceUID),
            str(dataset.SeriesInstanceUID),
            int(dataset.SeriesNumber),
            int(dataset.InstanceNumber),
        ),
        written_at=datetime.strptime(
            dataset.ContentDate + dataset.ContentTime + dataset.TimezoneOffsetFromUTC, "%Y%m%d%H%M%S.%f%z"
        ),
        predecessor=_predecessor(predecessors[0]) if predecessors else None,
        evidence=tuple(
            str(reference.ReferencedSOPInstanceUID)
            for study in dataset.CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for reference in series.ReferencedSOPSequence
        ),
        completion_flag=str(dataset.CompletionFlag),
        verification_flag=str(dataset.VerificationFlag),
        preliminary_flag=str(dataset.PreliminaryFlag),
    )


def _report(dataset: Dataset) -> DraftReport:
    """The report in a document's tree and header; what stands before its sections is known by its DCM codes."""
    context = {i.ConceptNameCodeSequence[0].CodeValue: i for i in dataset.ContentSequence if i.ValueType != "CONTAINER"}
    banner, *sections = (_section(item) for item in dataset.ContentSequence if item.ValueType == "CONTAINER")
    if banner.heading != SUMMARY:
        raise ValueError("the first section is not the banner")
    procedure = context.get("121058")
    return DraftReport(
        sections=tuple(sections),
        device=Device(
            uid=str(dataset.DeviceUID),
            name=str(context["121013"].TextValue),
            manufacturer=str(dataset.Manufacturer),
            model=str(dataset.ManufacturerModelName),
            version=str(dataset.SoftwareVersions),
            serial=str(dataset.DeviceSerialNumber or ""),
            description=str(dataset.ContributingEquipmentSequence[0].get("ContributionDescription", "")),
        ),
        banner=banner.paragraphs[0].text,
        accepted_by=str(context["121008"].PersonName).removesuffix("^") if "121008" in context else "",
        title=_code(dataset.ConceptNameCodeSequence[0]),
        language=_code(context["121049"].ConceptCodeSequence[0]),
        procedure=_code(procedure.ConceptCodeSequence[0]) if procedure else None,
        requested=tuple(_request(item) for item in dataset.get("ReferencedRequestSequence") or ()),
    )


def _section(container: Dataset) -> ReportSection:
    items = container.ContentSequence
    return ReportSection(
        heading=_code(container.ConceptNameCodeSequence[0]),
        element=_code(items[0].ConceptNameCodeSequence[0]),
        paragraphs=tuple(
            Paragraph(plain_text(item.TextValue), tuple(_image(child) for child in item.get("ContentSequence") or ()))
            for item in items
        ),
    )


def _image(item: Dataset) -> ImageReference:
    reference = item.ReferencedSOPSequence[0]
    frame = reference.get("ReferencedFrameNumber")
    return ImageReference(str(reference.ReferencedSOPInstanceUID), None if frame is None else int(frame))


def _request(item: Dataset) -> RequestedProcedure:
    procedure = item.RequestedProcedureCodeSequence
    return RequestedProcedure(
        accession_number=str(item.AccessionNumber or ""),
        placer_order_number=str(item.PlacerOrderNumberImagingServiceRequest or ""),
        filler_order_number=str(item.FillerOrderNumberImagingServiceRequest or ""),
        requested_procedure_id=str(item.RequestedProcedureID or ""),
        description=str(item.RequestedProcedureDescription or ""),
        code=_code(procedure[0]) if procedure else None,
    )


def _predecessor(study: Dataset) -> Predecessor:
    series = study.ReferencedSeriesSequence[0]
    return Predecessor(str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID), str(series.SeriesInstanceUID))


def _code(item: Dataset) -> Code:
    """An item of a code sequence, whichever of the three attributes holds its value (PS3.3 8.8)."""
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.URNCodeValue
    return Code(str(value), str(item.CodingSchemeDesignator), str(item.CodeMeaning))


def _lines(item: Dataset, depth: int) -> Iterator[ContentLine]:
    names = item.get("ConceptNameCodeSequence")
    yield ContentLine(
        depth,
        relationship=str(item.get("RelationshipType", "")),
        value_type=str(item.get("ValueType", "")),
        name=str(names[0].get("CodeMeaning", "")) if names else "",
        value=_shown(item),
    )
    for child in item.get("ContentSequence") or ():
        yield from _lines(child, depth + 1)


def _shown(item: Dataset) -> str:
    """The value of a content item in one string, whatever its type; a container has none."""
    if concepts := item.get("ConceptCodeSequence"):
        return str(concepts[0].get("CodeMeaning", ""))
    if references := item.get("ReferencedSOPSequence"):
        uid, frame = references[0].get("ReferencedSOPInstanceUID", ""), references[0].get("ReferencedFrameNumber")
        return str(uid) if frame is None else f"{uid} frame {frame}"
    if measured := item.get("MeasuredValueSequence"):
        units = measured[0].get("MeasurementUnitsCodeSequence")
        unit = units[0].get("CodeValue", "") if units else ""
        return f"{measured[0].get('NumericValue', '')} {unit}".strip()
    for keyword in ("TextValue", "UID", "PersonName", "DateTime", "Date", "Time"):
        if keyword in item:
            return plain_text(str(item[keyword].value))
    return ""
