"""A draft report as a DICOM document: Basic Text SR with TID 2000, or Comprehensive 3D SR with TID 1500 (PS3.3 A.35).

Every document built here is PARTIAL, UNVERIFIED and PRELIMINARY (PS3.3 C.17.2): there is no way to ask for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from highdicom.sr import ContainerContentItem
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, Comprehensive3DSRStorage, ExplicitVRLittleEndian

from dicom_io.draft_object import begin, encode
from dicom_io.errors import Refused
from dicom_io.measurement_content import measurement_tree
from dicom_io.report import Device, DocumentIds, DraftReport, Predecessor, RequestedProcedure
from dicom_io.report_content import concept, content_tree
from dicom_io.sop_reference import sop_reference
from dicom_io.study import Instance, Study
from dicom_io.text_values import identifier, shortened

COMPLETION_FLAG: Final = "PARTIAL"
VERIFICATION_FLAG: Final = "UNVERIFIED"
PRELIMINARY_FLAG: Final = "PRELIMINARY"
NOT_REVIEWED: Final = "AI draft, not reviewed by a radiologist"  # Completion Flag Description
ACCEPTED: Final = "AI draft, accepted as a draft, not verified"


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of structured report: its SOP class, and what makes the tree of a report whose series has that UID."""

    sop_class_uid: str
    tree: Callable[[DraftReport, Mapping[str, Instance], str], ContainerContentItem]


BASIC_TEXT: Final = Form(BasicTextSRStorage, lambda report, images, _: content_tree(report, images))
COMPREHENSIVE_3D: Final = Form(Comprehensive3DSRStorage, measurement_tree)


def build(
    report: DraftReport,
    study: Study,
    header: Dataset,
    ids: DocumentIds,
    written_at: datetime,
    predecessor: Predecessor | None = None,
    form: Form = BASIC_TEXT,
) -> bytes:
    """The document as a Part 10 file in explicit VR little endian; the same arguments give the same bytes.

    All images of `study` become its evidence. `header` is the data set of any one of them, pixels not needed: it
    says who the patient is. `written_at` is aware, in the hospital's zone, unless the header states another. The
    predecessor is of the same form.

    Raises:
        Refused: the header is of another study, the study has no image, the document would be its own predecessor, or
            the text or its image references cannot be written (see report_content.content_tree).
        ValueError: `written_at` is naive, or one of the numbers in `ids` is not positive.
    """
    if predecessor and predecessor.sop_instance_uid == ids.sop_instance_uid:
        raise Refused("a revision has the SOP Instance UID of its predecessor; mint a new one")
    document = begin(form.sop_class_uid, "SR", study, header, ids, written_at, report.device)
    images = {image.sop_instance_uid: image for image in (*report.priors, *study.images)}
    document.update(form.tree(report, images, ids.series_uid))
    _name_author(document, report.device)
    _mark_as_draft(document, ACCEPTED if report.accepted_by else NOT_REVIEWED)
    _relate(document, report, study)
    if predecessor:
        _replace(document, predecessor)
    return encode(document)


def _mark_as_draft(document: Dataset, how_far: str) -> None:
    document.CompletionFlag = COMPLETION_FLAG
    document.CompletionFlagDescription = how_far
    document.VerificationFlag = VERIFICATION_FLAG
    document.PreliminaryFlag = PRELIMINARY_FLAG


def _name_author(document: Dataset, device: Device) -> None:
    author = Dataset()  # Identified Person or Device macro, PS3.3 C.17.2.4
    author.ObserverType = "DEV"
    author.InstitutionName = ""
    author.InstitutionCodeSequence = []
    author.StationName = shortened(device.name, 16)
    author.DeviceUID = device.uid
    author.Manufacturer = document.Manufacturer
    author.ManufacturerModelName = document.ManufacturerModelName
    document.AuthorObserverSequence = [author]


def _relate(document: Dataset, report: DraftReport, study: Study) -> None:
    """What the document answers and rests on: requests and evidence (PS3.3 C.17.2)."""
    if report.requested:
        document.ReferencedRequestSequence = [_request(procedure, study.uid) for procedure in report.requested]
    document.PerformedProcedureCodeSequence = []
    document.ReferencedPerformedProcedureStepSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [_hierarchy(Study.of(study.images))]
    earlier = sorted({image.study_uid for image in report.priors})
    if earlier:
        document.PertinentOtherEvidenceSequence = [
            _hierarchy(Study.of(image for image in report.priors if image.study_uid == uid)) for uid in earlier
        ]


def _replace(document: Dataset, predecessor: Predecessor) -> None:
    previous = Instance(
        predecessor.sop_instance_uid,
        document.SOPClassUID,
        predecessor.series_uid,
        document.StudyInstanceUID,
        ExplicitVRLittleEndian,
    )
    document.PredecessorDocumentsSequence = [_hierarchy(Study.of([previous]))]


def _request(procedure: RequestedProcedure, study_uid: str) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.ReferencedStudySequence = []
    item.AccessionNumber = identifier(procedure.accession_number, 16)
    item.PlacerOrderNumberImagingServiceRequest = identifier(procedure.placer_order_number, 64)
    item.FillerOrderNumberImagingServiceRequest = identifier(procedure.filler_order_number, 64)
    item.RequestedProcedureID = identifier(procedure.requested_procedure_id, 16)
    item.RequestedProcedureDescription = shortened(procedure.description, 64)
    item.RequestedProcedureCodeSequence = [concept(procedure.code)] if procedure.code else []
    return item


def _hierarchy(study: Study) -> Dataset:
    """The study's instances by series: Hierarchical SOP Instance Reference macro (PS3.3 C.17.2.1)."""
    study_item = Dataset()
    study_item.StudyInstanceUID = study.uid
    study_item.ReferencedSeriesSequence = []
    for series in study.series:
        series_item = Dataset()
        series_item.SeriesInstanceUID = series.uid
        series_item.ReferencedSOPSequence = [sop_reference(instance) for instance in series.instances]
        study_item.ReferencedSeriesSequence.append(series_item)
    return study_item
