"""What every object of ours says of itself, whatever its shape: whose it is, which it is, who wrote it and when."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import Final

from highdicom import ContributingEquipment
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_io.clinical_header import patient_and_study
from dicom_io.errors import Refused
from dicom_io.report import Device, DocumentIds
from dicom_io.study import Study
from dicom_io.text_values import shortened
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

SERIES_DESCRIPTION: Final = "AI DRAFT REPORT - UNVERIFIED"


def begin(
    sop_class_uid: str,
    modality: str,
    study: Study,
    header: Dataset,
    ids: DocumentIds,
    written_at: datetime,
    device: Device,
) -> Dataset:
    """A data set with patient and study, series and instance, equipment and moment; the content is the caller's.

    Raises:
        Refused: the header is of another study, or the study has no image.
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
    document = patient_and_study(header)
    document.SOPClassUID = sop_class_uid
    document.Modality = modality
    _identify(document, ids, written_at)
    _name_equipment(document, device)
    return document


def _identify(document: Dataset, ids: DocumentIds, written_at: datetime) -> None:
    """The series, SOP Common, and the moment of the content (PS3.3 C.7.3.1, C.12.1)."""
    if offset := document.get("TimezoneOffsetFromUTC"):
        # one offset holds for all times in a document, those of the study included
        written_at = written_at.astimezone(datetime.strptime(offset, "%z").tzinfo)
    document.TimezoneOffsetFromUTC = f"{written_at:%z}"[:5]
    document.SOPInstanceUID = ids.sop_instance_uid
    document.InstanceCreationDate = document.ContentDate = f"{written_at:%Y%m%d}"
    document.InstanceCreationTime = document.ContentTime = f"{written_at:%H%M%S.%f}"
    document.SeriesInstanceUID = ids.series_uid
    document.SeriesNumber = ids.series_number
    document.InstanceNumber = ids.instance_number
    document.SeriesDescription = SERIES_DESCRIPTION


def _name_equipment(document: Dataset, device: Device) -> None:
    """Who wrote it, for readers of the header: General and Contributing Equipment."""
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


def encode(document: Dataset) -> bytes:
    """A Part 10 file in explicit VR little endian."""
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
