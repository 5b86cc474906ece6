"""A draft report as a DICOM document: Basic Text SR with TID 2000 (PS3.3 A.35.1, PS3.16).

Every document built here is PARTIAL, UNVERIFIED and PRELIMINARY (PS3.3 C.17.2): there is no way to ask for another.
"""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import Final

from highdicom import ContributingEquipment
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, BasicTextSRStorage, ExplicitVRLittleEndian

from dicom_io.clinical_header import patient_and_study
from dicom_io.errors import Refused
from dicom_io.report import Device, DocumentIds, DraftReport, Predecessor, RequestedProcedure
from dicom_io.report_content import concept, content_tree
from dicom_io.study import Instance, Study
from dicom_io.text_values import identifier, shortened
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

COMPLETION_FLAG: Final = "PARTIAL"
VERIFICATION_FLAG: Final = "UNVERIFIED"
PRELIMINARY_FLAG: Final = "PRELIMINARY"
NOT_REVIEWED: Final = "AI draft, not reviewed by a radiologist"  # Completion Flag Description
ACCEPTED: Final = "AI draft, accepted as a draft, not verified"
SERIES_DESCRIPTION: Final = "AI DRAFT REPORT - UNVERIFIED"


def build(
    report: DraftReport,
    study: Study,
    header: Dataset,
    ids: DocumentIds,
    written_at: datetime,
    predecessor: Predecessor | None = None,
) -> bytes:
    """The document as a Part 10 file in explicit VR little endian; the same arguments give the same bytes.

    All images of `study` become its evidence. `header` is the data set of any one of them, pixels not needed: it
    says who the patient is. `written_at` is aware, in the hospital's zone, unless the header states another.

    Raises:
        Refused: the header is of another study, the study has no image, the document would be its own predecessor, or
            the text or its image references cannot be written (see report_content.content_tree).
        ValueError: `written_at` is naive, or one of the numbers in `ids` is not positive.
    """
    if written_at.utcoffset() is None:
        raise ValueError("written_at has no time zone; give an aware datetime")
    if min(ids.series_number, ids.instance_number) < 1:
        raise ValueError("series and instance numbers count from 1")
    if header.get("StudyInstanceUID") != study.uid:
        raise Refused("the header is of another study than the images; give the data set of one of the study's images")
    if not study.images:
        raise Refused("the study has no image, so that nothing is evidence for a report")
    if predecessor and predecessor.sop_instance_uid == ids.sop_instance_uid:
        raise Refused("a revision has the SOP Instance UID of its predecessor; mint a new one")

    document = patient_and_study(header)
    document.update(content_tree(report, {image.sop_instance_uid: image for image in study.images}))
    _identify(document, ids, written_at)
    _name_equipment(document, report.device)
    _mark_as_draft(document, ACCEPTED if report.accepted_by else NOT_REVIEWED)
    _relate(document, report, study, predecessor)
    return _encode(document)


def _identify(document: Dataset, ids: DocumentIds, written_at: datetime) -> None:
    """SR Document Series, SOP Common, and the head of SR Document General (PS3.3 C.17.1, C.12.1, C.17.2)."""
    if offset := document.get("TimezoneOffsetFromUTC"):
        # one offset holds for all times in a document, those of the study included
        written_at = written_at.astimezone(datetime.strptime(offset, "%z").tzinfo)
    document.TimezoneOffsetFromUTC = f"{written_at:%z}"[:5]
    document.SOPClassUID = BasicTextSRStorage
    document.SOPInstanceUID = ids.sop_instance_uid
    document.InstanceCreationDate = document.ContentDate = f"{written_at:%Y%m%d}"
    document.InstanceCreationTime = document.ContentTime = f"{written_at:%H%M%S.%f}"
    document.Modality = "SR"
    document.SeriesInstanceUID = ids.series_uid
    document.SeriesNumber = ids.series_number
    document.InstanceNumber = ids.instance_number
    document.SeriesDescription = SERIES_DESCRIPTION


def _mark_as_draft(document: Dataset, how_far: str) -> None:
    document.CompletionFlag = COMPLETION_FLAG
    document.CompletionFlagDescription = how_far
    document.VerificationFlag = VERIFICATION_FLAG
    document.PreliminaryFlag = PRELIMINARY_FLAG


def _name_equipment(document: Dataset, device: Device) -> None:
    """Who wrote it, for readers of the header: General and Contributing Equipment, and the author, a device."""
    manufacturer, model = shortened(device.manufacturer, 64), shortened(device.model, 64)
    version, serial = shortened(device.version, 64), shortened(device.serial, 64)
    document.Manufacturer = manufacturer
    document.ManufacturerModelName = model
    document.SoftwareVersions = version
    document.DeviceSerialNumber = serial
    document.DeviceUID = device.uid
    document.ContributingEquipmentSequence = [
        ContributingEquipment(
            manufacturer,
            codes.DCM.ProcessingEquipment,
            manufacturer_model_name=model,
            software_versions=version,
            device_serial_number=serial or None,
            contribution_datetime=document.ContentDate + document.ContentTime + document.TimezoneOffsetFromUTC,
            contribution_description=shortened(device.description, 1024) or None,
        )
    ]
    author = Dataset()  # Identified Person or Device macro, PS3.3 C.17.2.4
    author.ObserverType = "DEV"
    author.InstitutionName = ""
    author.InstitutionCodeSequence = []
    author.StationName = shortened(device.name, 16)
    author.DeviceUID = device.uid
    author.Manufacturer = manufacturer
    author.ManufacturerModelName = model
    document.AuthorObserverSequence = [author]


def _relate(document: Dataset, report: DraftReport, study: Study, predecessor: Predecessor | None) -> None:
    """What the document answers, replaces and rests on: requests, predecessor and evidence (PS3.3 C.17.2)."""
    if report.requested:
        document.ReferencedRequestSequence = [_request(procedure, study.uid) for procedure in report.requested]
    document.PerformedProcedureCodeSequence = []
    document.ReferencedPerformedProcedureStepSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [_hierarchy(Study.of(study.images))]
    if predecessor:
        previous = Instance(
            predecessor.sop_instance_uid, BasicTextSRStorage, predecessor.series_uid, study.uid, ExplicitVRLittleEndian
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
        series_item.ReferencedSOPSequence = []
        for instance in series.instances:
            reference = Dataset()
            reference.ReferencedSOPClassUID = instance.sop_class_uid
            reference.ReferencedSOPInstanceUID = instance.sop_instance_uid
            series_item.ReferencedSOPSequence.append(reference)
        study_item.ReferencedSeriesSequence.append(series_item)
    return study_item


def _encode(document: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = document.SOPClassUID
    meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    document.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, document, enforce_file_format=True)
    return buffer.getvalue()
